"""Damage to the mirror of a repository, before a job and while its agent works: jobs do not fail for it."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.e2e.harness import DaemonHarness, wait_until
from tests.faults.history import Findings
from tests.faults.under_load import Options, Row, row_of, tracebacks
from tests.faults.whole_jobs import WITNESS

RAILS = """
version: 1
profiles:
  weaver: {capabilities: [repo:read, repo:write, git:commit], executor: agent, timeout: 1m}
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit], gates: [check]}
gates:
  check: {run: [sh, check.sh]}
"""
Damage = Callable[[Path, random.Random], object]


def _packs(mirror: Path) -> Iterator[Path]:
    for pack in (mirror / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o644)
        yield pack


def _cut_packs(mirror: Path, chance: random.Random) -> None:
    for pack in _packs(mirror):
        os.truncate(pack, chance.randrange(pack.stat().st_size))


def _overwrite_packs(mirror: Path, chance: random.Random) -> None:
    for pack in _packs(mirror):
        pack.write_bytes(chance.randbytes(pack.stat().st_size))


def _remove_packs(mirror: Path, _chance: random.Random) -> None:
    for pack in _packs(mirror):
        pack.unlink()


DAMAGES: dict[str, Damage] = {
    "HEAD emptied": lambda mirror, _: (mirror / "HEAD").write_bytes(b""),
    "HEAD missing": lambda mirror, _: (mirror / "HEAD").unlink(),
    "HEAD overwritten": lambda mirror, chance: (mirror / "HEAD").write_bytes(chance.randbytes(40)),
    "config emptied": lambda mirror, _: (mirror / "config").write_bytes(b""),
    "config overwritten": lambda mirror, _: (mirror / "config").write_bytes(b"["),
    "refs overwritten": lambda mirror, chance: (mirror / "packed-refs").write_bytes(chance.randbytes(80)),
    "refs missing": lambda mirror, _: shutil.rmtree(mirror / "refs"),
    "objects missing": lambda mirror, _: shutil.rmtree(mirror / "objects"),
    "packs cut": _cut_packs,
    "packs overwritten": _overwrite_packs,
    "packs missing": _remove_packs,
    "mirror missing": lambda mirror, _: shutil.rmtree(mirror),
}


def damages(options: Options) -> list[Row]:
    return [_damage(when, options) for when in ("before a job", "during a job")]


def _damage(when: str, options: Options) -> Row:
    fault = f"damaged mirror {when}"
    chance = random.Random(f"{options.seed} {fault}")
    kinds = [kind for kind in DAMAGES.values() for _ in range(options.times(1))]
    found, jobs = Findings(), list[str]()
    with DaemonHarness(rails=RAILS) as daemon:
        daemon.start()
        daemon.run("fix", "touch made")
        [mirror] = (daemon.state / "mirrors").glob("*.git")
        for number, damage in enumerate(kinds):
            if when == "before a job":
                damage(mirror, chance)
            go = daemon.root / f"go-{number}"
            script = (
                f"{WITNESS.format(root=daemon.root)}; while ! test -e {go}; do sleep 0.02; done; touch made-{number}"
            )
            jobs.append(daemon.dispatch("fix", script))
            daemon.step(jobs[-1], "agent")
            if when == "during a job":
                damage(mirror, chance)
            go.touch()
            daemon.wait(jobs[-1])
        found.acknowledged = len(jobs)
        for job_id in jobs:
            found.lost += _lost(daemon, job_id)
        started = (daemon.root / "witness").read_text().splitlines()
        found.doubled += [f"started twice: {line}" for line in set(started) if started.count(line) > 1]
        assert daemon.stop() == 0, daemon.log_tail()
        wait_until(lambda: not daemon.processes(), "no process is left")
        found.broken += tracebacks(daemon.log.read_text())
    return row_of(fault, len(kinds), found)


def _lost(daemon: DaemonHarness, job_id: str) -> Iterator[str]:
    job = daemon.job(job_id)
    if job["status"] != "COMPLETED":
        yield f"job {job_id} is {job['status']}: {job['error']}"
    elif daemon.git("rev-parse", job["branch"]) != job["result"]["commit"]:
        yield f"job {job_id} is completed, and its commit is not on {job['branch']}"
