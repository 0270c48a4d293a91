"""The faults by name: each runs with options and returns its rows, or raises NotTestedHere."""

from collections.abc import Callable

from tests.faults import (
    cluster,
    damage,
    ends,
    histories,
    leases,
    mirrors,
    shared_limits,
    storage,
    streams,
    surroundings,
    whole_jobs,
)
from tests.faults.under_load import Options, Row

FAULTS: dict[str, Callable[[Options], list[Row]]] = {
    "kill": ends.kills,
    "points": ends.crash_points,
    "whole-jobs": whole_jobs.crash_points,
    "signals": ends.signals,
    "limits": storage.limits,
    "full-disk": storage.full_disks,
    "locks": storage.locks,
    "read-only": storage.read_only,
    "io-errors": storage.io_errors,
    "damage": damage.damages,
    "mirrors": mirrors.damages,
    "cluster": cluster.clusters,
    "connections": cluster.connections,
    "shared-limits": shared_limits.shared_limits,
    "leases": leases.leases,
    "streams": streams.streams,
    "histories": histories.histories,
    "clock": surroundings.clocks,
    "descriptors": surroundings.descriptors,
    "memory": surroundings.memory,
    "output": surroundings.outputs,
    "second-daemon": surroundings.second_daemons,
    "reader": surroundings.readers,
    "tmpdir": surroundings.temporary_directories,
}
