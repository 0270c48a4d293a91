#!/bin/sh
# Installs PostgreSQL's server for `make test-postgres`, unless there is one; without it these tests are skipped.
set -u
[ -n "$(find /usr/local/bin /usr/bin /usr/lib/postgresql -name initdb 2>/dev/null)" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "PostgreSQL is not installed, so the tests with it are skipped: sudo apt-get install postgresql" >&2
    exit 0
fi
# The tests start a server of their own: no cluster is made, and none is started.
mkdir -p /etc/postgresql-common
echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql >/dev/null ||
    echo "PostgreSQL cannot be installed, so the tests with it are skipped" >&2
