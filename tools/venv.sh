#!/bin/sh
# Creates .venv with the given interpreter; if its venv module is missing, with uv or after installing it from Debian.
set -eu
python=$1

command -v "$python" >/dev/null || {
    echo "Stitcher needs Python 3.11 or newer, and $python is not installed: apt-get install python3" >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Stitcher needs Python 3.11 or newer, and $python is $("$python" --version)" >&2
    exit 1
}
echo "creating .venv with $("$python" --version)"
rm -rf .venv
if "$python" -m venv .venv >/dev/null 2>&1; then
    exit 0
fi
rm -rf .venv
if command -v uv >/dev/null; then
    exec uv venv --quiet --python "$python" .venv
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "its venv module is missing: installing it with apt-get"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null
    exec "$python" -m venv .venv
fi
echo "$python cannot create a virtual environment here. This installs what is missing:" >&2
echo "    sudo apt-get install python3-venv" >&2
exit 1
