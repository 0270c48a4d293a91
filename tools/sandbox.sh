#!/bin/sh
# Gets bubblewrap from Debian where it is missing and we may, so that the tests of the sandbox are not skipped.
set -u
get() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "bubblewrap is missing: getting it with apt-get"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y bubblewrap >/dev/null
}
command -v bwrap >/dev/null || get ||
    echo "there is no bwrap here, so the tests of the sandbox are skipped: sudo apt-get install bubblewrap" >&2
