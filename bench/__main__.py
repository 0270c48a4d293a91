"""`make bench`: the benchmarks, each row beside its target or its comparison in the same run.

    python -m bench [ROW...] [--seconds 4] [--rounds 3] [--jobs 1000000] [--json FILE]

The machine should be idle otherwise.
"""

import argparse
import json
import platform
import sqlite3
from pathlib import Path
from typing import Any

from bench import (
    audit,
    dispatch,
    hostile,
    intake,
    jobs,
    openclaw,
    postgres,
    rails,
    reads,
    repository,
    sandbox,
    store_copy,
    stream,
    terminal,
    year,
)

ROWS = {
    "intake": intake.measure,
    "dispatch": dispatch.measure,
    "jobs": jobs.measure,
    "repository": repository.measure,
    "rails": rails.measure,
    "reads": reads.measure,
    "stream": stream.measure,
    "terminal": terminal.measure,
    "sandbox": sandbox.measure,
    "hostile": hostile.measure,
    "audit": audit.measure,
}
ON_REQUEST = {
    "openclaw": openclaw.measure,  # needs a gateway that is not part of the project
    "postgres": postgres.measure,  # needs the programs of a PostgreSQL server, and psycopg
    "copy": store_copy.measure,  # needs the programs of a PostgreSQL server, and psycopg
    "huge": repository.measure_huge,  # takes minutes, and 4 GB where TMPDIR is
    "year": year.measure,  # takes minutes
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the daemon and the client.")
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="ROW",
        help=f"of {' '.join(ROWS | ON_REQUEST)}; default: all but {' '.join(ON_REQUEST)}",
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="duration of each load")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of each comparison")
    parser.add_argument(
        "--jobs", type=int, default=1_000_000, help="jobs in the store of the rows reads, terminal and copy"
    )
    parser.add_argument("--requests", type=int, default=100_000, help="malformed requests of the row hostile")
    parser.add_argument("--rate", type=float, default=600.0, help="of them a second: one core handles some thousands")
    parser.add_argument("--seed", type=int, default=1, help="of these requests")
    parser.add_argument("--idle", type=int, default=10_000, help="slow connections of the row hostile")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        "machine": f"{platform.machine()} python {platform.python_version()} sqlite {sqlite3.sqlite_version}"
    }
    for row in options.rows or ROWS:
        print(f"\n{row}", flush=True)
        figures[row] = (ROWS | ON_REQUEST)[row](options)
        for line in figures[row]:
            print("  " + "  ".join(f"{name} {value}" for name, value in line.items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
