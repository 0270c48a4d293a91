#!/bin/sh
# Installs into .venv, with uv if .venv was created without pip.
set -eu
if [ -x .venv/bin/pip ]; then
    exec .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
fi
exec uv pip install --quiet --python .venv/bin/python "$@"
