"""A PostgreSQL server with daemons and workers as processes, which faults are injected into."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg
from msgspec import Struct
from psycopg.rows import dict_row

from tests import stores
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.process_watch import end_processes
from tests.e2e.workers import WorkerHarness
from tests.faults.load import RAILS
from tests.faults.under_load import NotTestedHere
from tests.postgres_cluster import find_programs

DAEMONS, WORKERS, LANES = 2, 4, 4
LEASE_SECONDS = 4.0  # renewed in time also while all processes compete for the cores
READY_SECONDS = 60.0

Node = DaemonHarness | WorkerHarness


class Cluster(Struct, frozen=True):
    """Daemons and workers that share a store; the files of the workers are below those of the first daemon."""

    daemons: Sequence[DaemonHarness]
    workers: Sequence[WorkerHarness]

    @property
    def nodes(self) -> list[Node]:
        return [*self.daemons, *self.workers]

    @property
    def by_name(self) -> dict[str, Node]:
        """The processes by the names that the store knows them by."""
        names = {f"daemon-{number}": node for number, node in enumerate(self.daemons)}
        return {**names, **{worker.name: worker for worker in self.workers}}

    @property
    def dsn(self) -> str:
        """The connection string of the store."""
        return stores.dsn_of(self.daemons[0].root)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Return rows of the store, read past all daemons."""
        with closing(psycopg.connect(self.dsn, autocommit=True, row_factory=dict_row)) as db:
            return db.execute(query.encode(), values).fetchall()

    def start_ended(self) -> None:
        """Start what has ended: killed, or by itself, as its server went away at its start."""
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                continue
            if isinstance(node, DaemonHarness):
                node.spawn()
            else:
                node.start()

    def await_ready(self) -> None:
        """Wait until each daemon is ready; start what has ended."""

        def are_ready() -> bool:
            self.start_ended()
            return all(map(_is_ready, self.daemons))

        wait_until(are_ready, "each daemon is ready", READY_SECONDS)

    def await_joined(self) -> None:
        """Wait until each process has a lease, and knows which executors it reaches."""

        def have_joined() -> bool:
            found = self.daemons[0].get("/daemons")["items"]
            reached = ["agent" in each["executors"] or not each["workers"] for each in found]
            return len(reached) == len(self.nodes) and all(reached)

        wait_until(have_joined, "all have joined", READY_SECONDS)

    def stop(self) -> None:
        """Stop all processes with SIGTERM, and wait for their ends."""
        for node in self.nodes:
            assert node.process is not None
            node.process.send_signal(signal.SIGTERM)
            node.process.wait(READY_SECONDS)


@contextmanager
def running_cluster(
    number_of_daemons: int = DAEMONS,
    number_of_workers: int = WORKERS,
    *,
    rails: str = RAILS,
    settings: str = "",
    lanes_of_daemons: int = LANES,
    are_machines: bool = False,
) -> Iterator[Cluster]:
    """Start a PostgreSQL server with daemons and workers. Raises NotTestedHere.

    With `are_machines` each has a host name of its own, so that none can end what another one has left running.
    """
    if find_programs() is None:
        raise NotTestedHere("there is no initdb: install postgresql")
    daemons: list[DaemonHarness] = []
    workers: list[WorkerHarness] = []
    with stores.in_postgres():
        try:
            for number in range(number_of_daemons):
                name = f"daemon-{number}"
                daemon = DaemonHarness(
                    daemon=f'name = "{name}"\nworkers = {lanes_of_daemons}',
                    store=f'lease = "{LEASE_SECONDS:g}s"\n',
                    rails=rails,
                    settings=settings,
                )
                daemons.append(daemon)
                (daemon.root / "dsn").write_text(stores.dsn_of(daemons[0].root))
                daemon.start(around=_on_machine(name) if are_machines else ())
            for number in range(number_of_workers):
                name = f"worker-{number}"
                worker = WorkerHarness(daemons[0], name, LANES, _on_machine(name) if are_machines else ())
                workers.append(worker)
                worker.start()
            yield Cluster(daemons, workers)
        finally:
            for node in Cluster(daemons, workers).nodes:
                node.kill()
            for daemon in reversed(daemons):
                daemon.remove()


def _on_machine(name: str) -> tuple[str, ...]:
    """Return the command around a program that gives it a host name of its own."""
    as_root = () if os.geteuid() == 0 else ("--map-root-user",)
    return ("unshare", *as_root, "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name)


def end_machine(worker: WorkerHarness) -> None:
    """Kill a worker with all that it has started, as the end of its machine does."""
    worker.kill()
    end_processes(worker.root)


def stop_for(node: Node, seconds: float) -> None:
    """Stop a process by SIGSTOP, and let it go on."""
    assert node.process is not None
    with suppress(ProcessLookupError):
        os.kill(node.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(node.process.pid, signal.SIGCONT)


def _is_ready(daemon: DaemonHarness) -> bool:
    with suppress(OSError):
        return daemon.public("GET", "/readyz").status == 200
    return False
