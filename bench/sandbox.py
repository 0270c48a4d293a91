"""The cost of the sandbox: starting a command with and without it, in turn."""

import asyncio
import os
import statistics
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from stitcherd import processes
from stitcherd.sandbox import bubblewrap, limits
from stitcherd.sandbox.bubblewrap import SandboxSpec, wrap_command

STARTS = 100
PLACES = {"open": None, "bwrap": SandboxSpec(network=False), "bwrap_with_limits": SandboxSpec(memory=2**30, disk=2**30)}


def measure(options: Namespace) -> list[dict[str, Any]]:
    missing = bubblewrap.unavailable_reason()
    if missing is not None:
        return [{"skipped": missing}]
    return asyncio.run(_measured(STARTS * options.rounds // 3))


async def _measured(starts: int) -> list[dict[str, Any]]:
    taken: dict[str, list[float]] = {name: [] for name in PLACES}
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        work, tmp = Path(place, "work"), Path(place, "tmp")
        work.mkdir()
        tmp.mkdir()
        for _ in range(starts):
            for name, box in PLACES.items():
                started = time.perf_counter()
                with wrap_command(["true"], box, cwd=work, tmp=tmp, home=None) as command:
                    ended = await processes.run(
                        command.argv,
                        cwd=work,
                        env={"PATH": os.environ["PATH"]},
                        timeout=10.0,
                        write=print,
                        job_id="bench",
                        root=Path(place),
                        watch=limits.watch_limits(box, (work, tmp), None),
                        pass_fds=command.pass_fds,
                    )
                taken[name].append(1000 * (time.perf_counter() - started))
                assert ended.code == 0, ended
    return [{"place": name, "p50_ms": _at(each, 0.5), "p99_ms": _at(each, 0.99)} for name, each in taken.items()]


def _at(figures: list[float], share: float) -> float:
    return round(statistics.quantiles(figures, n=100, method="inclusive")[round(share * 100) - 1], 2)
