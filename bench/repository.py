"""A whole job with a repository, beyond what its agent and its gate take: time, CPU, and git processes.

The state is where TMPDIR is: on a disk on which creating a file is slow, most of the time is that.
"""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.daemon import BenchDaemon, run_daemon

AGENT = ("sh", "-c", "echo x >> directory-0/file-0")
JOBS = 7  # after one that fills the mirror
JOBS_HUGE = 3
ENDED = {"COMPLETED", "FAILED", "CANCELLED"}
FILES_PER_DIRECTORY = 100


def measure(_options: Namespace) -> list[dict[str, Any]]:
    return [_measured("20 files", 20, 500), _measured("5,000 files of 20 KB", 5_000, 20_000)]


def measure_huge(_options: Namespace) -> list[dict[str, Any]]:
    return [_measured("50,000 files of 20 KB", 50_000, 20_000, JOBS_HUGE)]


def _measured(name: str, files: int, size: int, jobs: int = JOBS) -> dict[str, Any]:
    with _repository(files, size) as clone:
        counted = _count_git(clone)
        with run_daemon(workers=1, clone=clone, agent=AGENT) as daemon:
            _run_job(daemon)
            before = daemon.cpu(), daemon.children_cpu(), daemon.written()
            took = [_run_job(daemon) for _ in range(jobs)]
            return {
                "row": f"{name:22}",
                "beyond_ms": round(statistics.median(took)),
                "range_ms": f"{min(took):.0f}-{max(took):.0f}",
                "daemon_cpu_ms": round((daemon.cpu() - before[0]) / jobs * 1000),
                "children_cpu_ms": round((daemon.children_cpu() - before[1]) / jobs * 1000),
                "git_processes": counted,
                "written_per_tree": round((daemon.written() - before[2]) / jobs / (files * size), 2),
            }


def _run_job(daemon: BenchDaemon) -> float:
    """Run one job; return the milliseconds from its start to its end, without those of its agent and gates."""
    asked = {"type": "fix", "repository": "octo-org/api"}
    job = daemon.request("POST", "/runner-jobs", asked)
    while job["status"] not in ENDED:
        time.sleep(0.01)
        job = daemon.request("GET", f"/runner-jobs/{job['id']}")
    if job["status"] != "COMPLETED":
        raise SystemExit(f"{job['error']}\n{(daemon.directory / 'log').read_text()}")
    others: int = sum(step["durationMs"] for step in job["steps"] if step["type"] in {"AI_ACTION", "GATE"})
    return (_timestamp(job["completedAt"]) - _timestamp(job["startedAt"])) * 1000 - others


def _timestamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _count_git(clone: Path) -> int:
    """Return how many git processes the daemon starts for a job; those that git itself starts do not count."""
    directory = Path(tempfile.mkdtemp(prefix="stitcher-bench-"))
    log, program = directory / "log", directory / "git"
    log.touch()
    program.write_text(f'#!/bin/sh\necho . >> "{log}"\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    try:
        with run_daemon(workers=1, clone=clone, agent=AGENT, PATH=f"{directory}:{os.environ['PATH']}") as daemon:
            _run_job(daemon)
            before = len(log.read_text().splitlines())
            _run_job(daemon)
            return len(log.read_text().splitlines()) - before
    finally:
        shutil.rmtree(directory)


@contextmanager
def _repository(files: int, size: int) -> Iterator[Path]:
    """Yield a bare repository with one commit of files that cannot be compressed."""
    directory = Path(tempfile.mkdtemp(prefix="stitcher-bench-"))
    bare = directory / "api.git"
    try:
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
        load = subprocess.Popen(["git", "-C", str(bare), "fast-import", "--quiet"], stdin=subprocess.PIPE)
        assert load.stdin is not None
        load.stdin.write(b"commit refs/heads/main\ncommitter b <b@localhost> 1700000000 +0000\ndata 4\nbase\n")
        for number in range(files):
            path = f"directory-{number // FILES_PER_DIRECTORY}/file-{number}"
            load.stdin.write(f"M 100644 inline {path}\ndata {size}\n".encode() + os.urandom(size) + b"\n")
        load.stdin.close()
        if load.wait() != 0:
            raise SystemExit("git fast-import failed")
        yield bare
    finally:
        shutil.rmtree(directory)
