#!/bin/sh
# Installs into .venv, with uv where .venv was made without pip.
set -eu
if [ -x .venv/bin/pip ]; then
    exec .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
fi
exec uv pip install --quiet --python .venv/bin/python "$@"
