"""Builds tasks for real agents: with a checkout, a TMPDIR and a home of their own, and the environment of a test."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.ids import new_id
from stitcherd.executors.base import AgentProfile, Task
from stitcherd.jobs.command_runner import CommandRunner


def build_task(directory: Path, environ: Mapping[str, str], **profile: Any) -> Task:
    """Return a task whose commands get these variables; `profile` are fields of its AgentProfile."""
    work, tmp, home = directory / "work", directory / "tmp", directory / "home"
    for each in (work, tmp, home):
        each.mkdir()
    runner = CommandRunner(
        job_id=new_id(),
        attempt=1,
        root=directory,
        cwd=work,
        tmp=tmp,
        environ={**os.environ, **environ, "HOME": str(home)},
        env_names=tuple(environ),
    )
    return Task(
        job_id=runner.job_id,
        attempt=1,
        number=1,
        prompt="Fix it.",
        cwd=work,
        timeout=60.0,
        run_command=runner.run,
        profile=AgentProfile(name="weaver", **profile),
    )
