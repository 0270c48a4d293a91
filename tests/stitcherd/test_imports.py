"""What a start of the daemon imports."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("also", ["", "import stitcherd.store.postgres; "])
def test_the_driver_of_postgresql_is_imported_only_where_it_is_used(also: str) -> None:
    code = "import sys, stitcherd.__main__; " + also + "print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(bool(also)), done.stderr


def test_garbage_is_collected_after_the_imports() -> None:
    code = "import gc, stitcherd.__main__; print(gc.isenabled(), gc.get_freeze_count() > 100_000)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n", done.stderr
