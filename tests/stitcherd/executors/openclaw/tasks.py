"""Tasks for executors, and the settings of a daemon whose executor `claw` is a gateway."""

from pathlib import Path

from stitcherd.executors.base import AgentProfile, PreviousTry, Task
from stitcherd.executors.openclaw.connection import GatewayAddress
from stitcherd.jobs.command_runner import CommandRunner


def build_task(
    cwd: Path,
    prompt: str = "",
    *,
    job_id: str = "job",
    number: int = 1,
    timeout: float | None = None,
    profile: AgentProfile | None = None,
    previous: PreviousTry | None = None,
) -> Task:
    """Return a task of a first attempt; `timeout` is in seconds."""
    commands = CommandRunner(job_id=job_id, attempt=1, root=cwd, cwd=cwd, tmp=cwd, environ={})
    return Task(
        job_id=job_id,
        attempt=1,
        number=number,
        prompt=prompt,
        previous=previous,
        cwd=cwd,
        timeout=timeout,
        run_command=commands.run,
        profile=profile,
    )


def claw_settings(address: GatewayAddress, directory: Path) -> str:
    """Return the settings of the executor `claw`, whose token is written into a file in the directory."""
    token = directory / "token"
    token.touch(mode=0o600)
    token.write_text(str(address.token))
    return f'[executors.claw]\nkind = "openclaw"\nurl = "{address.url}"\ntoken = {{file = "{token}"}}'
