"""A small imitation of a machine for hostile agents: state, a home, an attempt of a job, and listeners beside it."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from stitcherd import processes
from stitcherd.sandbox import bubblewrap, limits
from stitcherd.sandbox.bubblewrap import SandboxSpec, wrap_command

SANDBOX_MISSING = bubblewrap.unavailable_reason()
needs_sandbox = pytest.mark.skipif(SANDBOX_MISSING is not None, reason=f"NOT TESTED HERE: {SANDBOX_MISSING}")

PYTHON, LIBRARY = os.path.realpath(sys.executable), sys.base_prefix
IS_ROOT = os.geteuid() == 0
MIB = 2**20
CLOSED_SANDBOX = SandboxSpec(network=False, mounts=(LIBRARY,))


@dataclass
class SandboxHost:
    """The directories of a daemon and a user, an attempt of a job, and what listens and runs beside it."""

    root: Path
    unique_name: str
    port: int
    bystander: int

    @property
    def attempt(self) -> Path:
        return self.root / "state/checkouts/mine/1"

    async def run(
        self, code: str, sandbox: SandboxSpec | None = None, *, tmp: str = "tmp", seconds: float = 20.0
    ) -> tuple[str, str]:
        """Run Python as an agent; return how it ended, and its output."""
        output = bytearray()
        work, scratch, home = self.attempt / "work", self.attempt / tmp, self.root / "home"
        scratch.mkdir(exist_ok=True)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(scratch),
            "STITCHER_JOB_ID": self.unique_name,
        }
        names = (
            f"root={str(self.root)!r}; unique_name={self.unique_name!r}; port={self.port}; bystander={self.bystander}\n"
        )
        argv = [PYTHON, "-I", "-c", "import os, socket, sys\n" + names + textwrap.dedent(code)]
        with wrap_command(argv, sandbox, cwd=work, tmp=scratch, home=str(home)) as command:
            ended = await processes.run(
                command.argv,
                cwd=work,
                env=env,
                timeout=seconds,
                write=output.extend,
                job_id=self.unique_name,
                root=self.attempt,
                watch=limits.watch_limits(sandbox, (work, scratch), str(home)),
                pass_fds=command.pass_fds,
            )
        return str(ended), output.decode(errors="replace")


FILES = {
    "config/rails.yaml": "version: 1\n",
    "config/secret": "hunter22",
    "home/.ssh/id_ed25519": "hunter22",
    "home/.netrc": "hunter22",
    "home/src/api/.git/refs/heads/main": "1" * 40,
    "home/src/api/.git/hooks/pre-commit": "#!/bin/sh\n",
    "home/.bashrc": "",
    "state/stitcher.db": "hunter22",
    "state/mirrors/api.git/refs/heads/main": "1" * 40,
    "state/checkouts/other/1/work/a.py": "hunter22",
    "state/checkouts/mine/1/stitcher.git/HEAD": "ref: refs/heads/main\n",
    "state/checkouts/mine/1/gates-1/Makefile": "test:\n",
    "state/checkouts/mine/1/work/a.py": "a\n",
}


def start_process(*argv: str, pass_fds: Sequence[int] = (), **env: str) -> subprocess.Popen[bytes]:
    environ = {"PATH": os.environ["PATH"], **env}
    return subprocess.Popen(argv, env=environ, start_new_session=True, pass_fds=pass_fds)
