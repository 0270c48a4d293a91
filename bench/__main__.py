"""`make bench`: what we want to be measured by, each row beside its ceiling in the same run; JSON and a table.

    python bench [ROW...] [--seconds 4] [--rounds 3] [--jobs 1000000] [--json FILE]

The machine should do nothing else meanwhile.
"""

import argparse
import json
import platform
import sqlite3
import sys
from pathlib import Path

import dispatch
import hostile
import intake
import jobs
import rails
import reads
import sandbox
import stream
import terminal

ROWS = {
    "intake": intake.measure,
    "dispatch": dispatch.measure,
    "jobs": jobs.measure,
    "rails": rails.measure,
    "reads": reads.measure,
    "stream": stream.measure,
    "terminal": terminal.measure,
    "sandbox": sandbox.measure,
    "hostile": hostile.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {' '.join(ROWS)}; all, if none is named")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=3, help="of each pair, in turn")
    parser.add_argument("--jobs", type=int, default=1_000_000, help="in the store of the rows reads and terminal")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    figures = {"machine": f"{platform.machine()} python {platform.python_version()} sqlite {sqlite3.sqlite_version}"}
    for row in options.rows or ROWS:
        print(f"\n{row}", flush=True)
        figures[row] = ROWS[row](options)
        for line in figures[row]:
            print("  " + "  ".join(f"{name} {value}" for name, value in line.items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
