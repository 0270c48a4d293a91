"""Workers as processes, for the store of a daemon, and an agent that leaves a witness outside of it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.harness import DaemonHarness, spawn

LEASE_SECONDS = 3.0
SHORT_LEASE = f'lease = "{LEASE_SECONDS:g}s"\n'


class WorkerHarness:
    """A worker with a state directory of its own, and the settings of a daemon but for what only that needs.

    It is started under the command `around`.
    """

    def __init__(self, daemon: DaemonHarness, name: str, workers: int = 3, around: Sequence[str] = ()) -> None:
        self.root = daemon.root / name
        self.log = daemon.log
        self.name = name
        self._around = around
        self.process: subprocess.Popen[bytes] | None = None
        self.root.mkdir()
        text = (daemon.config / "stitcherd.toml").read_text()
        text = text.replace(f'state_dir = "{daemon.state}"', f'state_dir = "{self.root}/state"')
        text = "\n".join(line for line in text.splitlines() if not line.startswith(("name =", "workers =")))
        text = text.replace("[daemon]", f'[daemon]\nname = "{name}"\nworkers = {workers}', 1)
        (self.root / "stitcherd.toml").write_text(text.partition("[[tokens]]")[0])

    def start(self) -> "WorkerHarness":
        argv = [*self._around, sys.executable, "-m", "stitcherd", "worker", "--config", str(self.root)]
        self.process = spawn(argv, self.log)
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Witness:
    """A file in which each agent notes its place, and whether another agent of its job was running then."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "witness"
        self._locks = directory / "locks"
        self._locks.mkdir()

    def script(self, then: str) -> str:
        """Return the script of an agent that notes itself, and then does something."""
        lock = f"exec 9>>{self._locks}/$STITCHER_JOB_ID; flock -n 9 || echo two $STITCHER_JOB_ID >> {self.path}"
        return f"{lock}; echo $STITCHER_JOB_ID $STITCHER_ATTEMPT $STITCHER_TRY >> {self.path}; {then}"

    def starts(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def check(self) -> None:
        """Check that no try was started twice, and that no job had two agents at once."""
        starts = self.starts()
        assert len(set(starts)) == len(starts), [each for each in starts if starts.count(each) > 1]
        assert not [each for each in starts if each.startswith("two")]
