"""Starts the program of each executor as its jobs would: `python -m stitcherd.executor_check`, by the doctor.

The result is a line of JSON for each check, a CheckResult. A program whose stream is read, or that speaks the Agent
Client Protocol, is run with `--version`, in the sandbox of each profile that uses it. Any other program may not know
that option and begin to work, so it is only looked for.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from shared.checks import CheckResult, info, ok, problem, warning
from shared.locations import expand_home
from shared.program_mounts import needed_mounts
from stitcherd import processes
from stitcherd.config.load import SettingsError
from stitcherd.config.settings import ExecutorSettings, Settings
from stitcherd.configuration import load_configuration
from stitcherd.executors.streams import STREAMS
from stitcherd.rails.compiled import CompiledRails, ProfileRule
from stitcherd.sandbox.bubblewrap import SandboxSpec, unavailable_reason, visible_directories, wrap_command
from stitcherd.sandbox.programs import start_fault

SECONDS_MAX = 20.0  # for `--version` of a program; all run at the same time
_LINE_MAX = 200  # characters of what a program printed
_CODEX_SANDBOX_OFF = ("--dangerously-bypass-approvals-and-sandbox", "--yolo", "danger-full-access")


def main(argv: Sequence[str] | None = None) -> int:
    """Check all executors with a program; return 2 if the settings cannot be read."""
    parser = ArgumentParser(prog="python -m stitcherd.executor_check", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        settings, rails = load_configuration(options.config)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    asyncio.run(_print_all(settings, rails, os.environ))
    return 0


async def _print_all(settings: Settings, rails: CompiledRails | None, environ: Mapping[str, str]) -> None:
    await asyncio.gather(*(_print_executor(each, rails, environ) for each in settings.executors.values() if each.argv))


async def _print_executor(executor: ExecutorSettings, rails: CompiledRails | None, environ: Mapping[str, str]) -> None:
    profiles = [each for each in rails.profiles.values() if each.executor == executor.name] if rails else []
    found = [*_option_results(executor)]
    for profile in profiles:
        found += _profile_results(executor, profile, environ)
    for user in profiles or (None,):
        found += await _start(executor, user, environ)
    for result in found:
        print(msgspec.json.encode(result).decode(), flush=True)


def _option_results(executor: ExecutorSettings) -> Iterator[CheckResult]:
    stream = STREAMS.get(executor.output)
    if stream is not None and (missing := stream.missing_options(executor.argv)):
        detail = f"output {executor.output} needs {', '.join(missing)}, which its argv does not have"
        remedy = f"add it to argv of executors.{executor.name}, unless the program is a script that adds it"
        yield warning(_name(executor), detail, remedy)


def _profile_results(
    executor: ExecutorSettings, profile: ProfileRule, environ: Mapping[str, str]
) -> Iterator[CheckResult]:
    """Yield what a profile lacks for this executor: variables, the network, and mounts that exist."""
    name, at = _name(executor), f"profile {profile.name}"
    for variable in profile.env:
        if not environ.get(variable):
            detail = f"{at} passes on {variable}, which is not set where the doctor runs"
            yield warning(name, detail, "set it in the environment that stitcherd is started in")
    if profile.box is None:
        return
    for mount in _absent_mounts(profile.box):
        yield problem(name, f"{mount}, a mount of {at}, does not exist", "create it, or remove it from mounts")
    if executor.output in STREAMS and not profile.box.network:
        detail = f"the sandbox of {at} has no network, and the agent asks its model over it"
        yield warning(name, detail, "write network: host in the profile")
    if executor.output == "codex" and not any(off in word for word in executor.argv for off in _CODEX_SANDBOX_OFF):
        detail = f"the sandbox of Codex does not work inside that of {at}: its commands fail"
        yield warning(name, detail, f"add {_CODEX_SANDBOX_OFF[0]} to argv of executors.{executor.name}")


async def _start(
    executor: ExecutorSettings, profile: ProfileRule | None, environ: Mapping[str, str]
) -> list[CheckResult]:
    """Return whether the program can be started by a profile, or without one.

    Nothing is returned where another check has the reason: a program that is not there at all, or an absent mount.
    """
    name, program, box = _name(executor), executor.argv[0], profile.box if profile else None
    place = f"in the sandbox of profile {profile.name}" if profile and box else "without a sandbox"
    if "/" in program and not program.startswith("/"):
        return [info(name, f"{program} is looked for in each checkout, so it was not checked")]
    if box is not None and unavailable_reason() is not None:
        return [info(name, f"{program} was not started {place}: sandboxes cannot be used here")]
    with tempfile.TemporaryDirectory(prefix="stitcher-doctor-") as scratch:
        extra = profile.env if profile else ()
        env = processes.build_environment(
            environ, job_id="doctor", attempt=1, number=1, tmp=Path(scratch, "tmp"), extra=extra
        )
        if shutil.which(program, path=env["PATH"]) is None or (box is not None and [*_absent_mounts(box)]):
            return []
        report, fault = problem, start_fault(program, box, search_path=env["PATH"])
        if fault is None and executor.kind == "command" and executor.output not in STREAMS:
            return [ok(name, f"{program} can be found {place}")]
        if fault is None:
            said, fault = await _ask_version(program, box, Path(scratch), env)
            if fault is None:
                return [ok(name, f"{said or program} starts {place}")]
            fault = f"{fault} {place}{f': {said}' if said else ''}"
            report = warning if executor.kind == "acp" else problem  # an ACP agent may not know --version
    return [report(name, fault.removesuffix("."), _remedy(executor, profile, env))]


async def _ask_version(
    program: str, box: SandboxSpec | None, scratch: Path, env: Mapping[str, str]
) -> tuple[str, str | None]:
    """Run a program with --version; return the first line that it printed, and how it failed, if it did."""
    cwd, tmp = scratch / "checkout", Path(env["TMPDIR"])
    cwd.mkdir()
    tmp.mkdir()
    with wrap_command([program, "--version"], box, cwd=cwd, tmp=tmp, home=env.get("HOME")) as command:
        try:
            done = await processes.capture(
                command.argv, cwd=cwd, env=env, timeout=SECONDS_MAX, pass_fds=command.pass_fds
            )
        except processes.CannotStart as error:
            return "", str(error).removesuffix(".")
    if done.exit.ok:
        return _line(done.stdout), None
    ended = f"did not end within {SECONDS_MAX:g} s" if done.exit.timed_out else str(done.exit)
    return _line(done.stderr) or _line(done.stdout), f"{program} --version {ended}"


def _remedy(executor: ExecutorSettings, profile: ProfileRule | None, env: Mapping[str, str]) -> str:
    """Return what to do about a program that does not start: name the mounts that it needs and does not have."""
    program = shutil.which(executor.argv[0], path=env["PATH"]) or executor.argv[0]
    if profile is not None and profile.box is not None:
        shown = [each.resolve() for each in visible_directories(profile.box)]
        hidden = [
            mount
            for mount in needed_mounts(program)
            if not any(Path(mount).resolve().is_relative_to(each) for each in shown)
        ]
        if hidden:
            return f"add to mounts of profile {profile.name}: {json.dumps(hidden, ensure_ascii=False)}"
    return f"start it by hand: {program} --version"


def _absent_mounts(box: SandboxSpec) -> Iterator[str]:
    return (mount for mount in box.mounts if not Path(expand_home(mount)).exists())


def _line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[0].strip()[:_LINE_MAX] if lines else ""


def _name(executor: ExecutorSettings) -> str:
    return f"executor {executor.name}"


if __name__ == "__main__":
    sys.exit(main())
