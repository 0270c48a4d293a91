#!/bin/sh
# Installs bubblewrap from Debian if it is missing and we are root, so that the tests of the sandbox are not skipped.
set -u
install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "bubblewrap is missing: installing it with apt-get"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y bubblewrap >/dev/null
}
command -v bwrap >/dev/null || install ||
    echo "bwrap is not installed, so the tests of the sandbox are skipped: sudo apt-get install bubblewrap" >&2
