"""Every verb where standard streams are closed, or stdout is full: the same result, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import Struct

from tests.e2e.harness import ROOT, DaemonHarness, wait_until
from tests.e2e.http_client import TIMEOUT
from tui.cli.verbs import VERBS

# The words after the verb, for jobs and a delivery of the fixture; none of them changes what the others print.
WORDS = {
    "show": ("JOB",),
    "tail": ("JOB",),
    "wait": ("JOB",),
    "why": ("JOB",),
    "dispatch": ("free", "--prompt", "true"),
    "cancel": ("--dry-run", "JOB"),
    "retry": ("--dry-run", "JOB"),
    "approve": ("JOB",),
    "deny": ("JOB", "--reason", "no"),
    "deliveries": ("show", "DELIVERY"),
    "accounts": ("ls",),
    "token": ("new", "ci"),
    "rails": ("check",),
    "bundle": ("JOB", "--force", "-o", "BUNDLE"),
    "backup": ("BACKUP",),
    "completion": ("bash",),
}
CHANGING = {"demo", "dispatch", "token", "doctor", "ls", "version"}  # what these print is not the same twice


class Place(Struct):
    """Where verbs are run: the daemon, the words that stand for its ids, and a directory without git on its PATH."""

    daemon: DaemonHarness
    words: dict[str, str]
    directory: Path
    seen: dict[str, subprocess.CompletedProcess[str]]

    def usual(self, verb: str) -> subprocess.CompletedProcess[str]:
        """Return what a verb does with open streams, once it was run."""
        if verb not in self.seen:
            self.run(verb, "")  # what only the first run does, such as writing files
            self.seen[verb] = self.run(verb, "")
        return self.seen[verb]

    def run(self, verb: str, redirections: str) -> subprocess.CompletedProcess[str]:
        if verb == "dispatch":
            self.daemon.request(
                "POST", "/resume"
            )  # so that its job ends, and the next verb prints what it would without
        words = [verb, *(self.words.get(word, word) for word in WORDS.get(verb, ()))]
        config = self.directory / "new" if verb == "init" else self.daemon.config
        given = ["--config", str(config), "--socket", str(self.daemon.socket)]
        argv = ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "tui", *given, *words]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("STITCHER_")}
        if verb == "demo":
            environ |= {"PATH": str(self.directory), "TMPDIR": str(self.directory)}  # without git it ends at once
        ran = subprocess.run(
            argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=TIMEOUT * 2, check=False
        )
        wait_until(lambda: not self.open_jobs(), "no job is left that would change what the next verb prints")
        return ran

    def open_jobs(self) -> int:
        counts = self.daemon.get("/runner-jobs")["counts"]
        return int(counts["queued"] + counts["running"])


@pytest.fixture(scope="module")
def place(daemon: DaemonHarness, tmp_path_factory: pytest.TempPathFactory) -> Place:
    directory = tmp_path_factory.mktemp("streams")
    answer = daemon.comment("@mosaic free echo done").json
    daemon.wait(answer["jobId"], "COMPLETED")
    words = {"JOB": answer["jobId"], "DELIVERY": answer["deliveryId"], "BUNDLE": str(directory / "bundle.tgz")}
    words["BACKUP"] = str(directory)  # exists, so that it is refused each time
    return Place(daemon, words, directory, {})


@pytest.mark.parametrize("redirections", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_stream_changes_nothing_else(place: Place, verb: str, redirections: str) -> None:
    before, ran = place.usual(verb), place.run(verb, redirections)
    assert ran.returncode == before.returncode, ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    if ">&-" in redirections.split():
        assert ran.stdout == ""
    elif verb in CHANGING:
        assert len(ran.stdout.splitlines()) >= len(before.stdout.splitlines())
    else:
        assert ran.stdout == before.stdout
    if "2>&-" in redirections.split():
        assert ran.stderr == ""


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_stdout_is_said(place: Place, verb: str) -> None:
    usual, ran = place.run(verb, ""), place.run(verb, "> /dev/full")
    assert "Traceback" not in ran.stderr
    if usual.stdout:
        assert ran.returncode == 1
        assert ran.stderr.splitlines()[-1] == "stitcher: stdout: No space left on device"
    else:
        assert ran.returncode == usual.returncode
        assert ran.stderr == usual.stderr
