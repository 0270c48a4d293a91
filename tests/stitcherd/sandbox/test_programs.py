"""Which programs cannot be started, inside a sandbox and without one."""

import os
from pathlib import Path

import pytest

from stitcherd.sandbox.bubblewrap import SandboxSpec
from stitcherd.sandbox.programs import start_fault

BOX = SandboxSpec()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    directory = tmp_path / "tools"
    directory.mkdir()
    for name, mode in (("works", 0o755), ("plain", 0o644)):
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(mode)
    (directory / "linked").symlink_to("/usr/bin/env")
    return directory


def fault(program: str, tools: Path, sandbox: SandboxSpec | None = None, *directories: Path) -> str | None:
    path = f"/usr/bin{os.pathsep}{tools}"
    return start_fault(program, sandbox, search_path=path, directories=directories)


def test_a_program_is_found_by_name_by_path_and_in_the_working_directory(tools: Path) -> None:
    for program in ("env", "works", "linked", str(tools / "works"), "./works"):
        assert fault(program, tools, None, tools) is None
    assert fault("./unknown", tools) is None, "nobody knows where it will run"


@pytest.mark.parametrize("sandbox", [None, BOX])
def test_what_is_missing_or_not_executable_cannot_be_started(tools: Path, sandbox: SandboxSpec | None) -> None:
    assert fault("nomake", tools, sandbox) == "nomake cannot be started: there is no such program."
    assert fault("./nomake", tools, sandbox, tools) == "./nomake cannot be started: there is no such program."
    assert fault("./plain", tools, sandbox, tools) == "./plain cannot be started: it is not executable."


def test_a_sandbox_shows_the_system_its_mounts_and_the_directories_of_the_job(tools: Path) -> None:
    hidden = f"works cannot be started: the sandbox does not show {tools / 'works'}; add it to mounts."
    assert fault("works", tools, BOX) == hidden
    assert fault("linked", tools, BOX) is not None, "the link itself is not there"
    for sandbox, directories in ((SandboxSpec(mounts=(str(tools),)), ()), (BOX, (tools,))):
        assert fault("works", tools, sandbox, *directories) is None
        assert fault("env", tools, sandbox, *directories) is None
