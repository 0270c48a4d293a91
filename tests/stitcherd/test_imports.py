"""What a start of the daemon does while it imports its modules."""

import subprocess
import sys


def test_garbage_is_collected_after_the_imports() -> None:
    code = "import gc, stitcherd.__main__; print(gc.isenabled(), gc.get_freeze_count() > 100_000)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n", done.stderr
