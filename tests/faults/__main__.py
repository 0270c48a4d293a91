"""`make faults`: injects faults under load, and shows that nothing is lost, nothing happens twice, and all heals.

    python -m tests.faults [FAULT...] [--kills N] [--seed S] [--scale X] [--rate N] [--life S]

The exit code is 1 unless all figures of losses, repetitions and repairs by hand are zero. A fault that this machine
cannot inject is reported as skipped. The seed repeats the choices of the faults, not the moments of the machine.
"""

import argparse
import random
import sys
import time

from tests.faults.table import FAULTS
from tests.faults.under_load import LIFE_SECONDS, PER_SECOND, NotTestedHere, Options, Row

COLUMNS = f"{'fault':34}{'times':>7}{'acknowledged':>14}{'lost':>6}{'doubled':>9}{'by hand':>9}"
NOTES = 5  # of one row that are printed


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description="Inject faults under load, and compare.")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {' '.join(FAULTS)}; default: all")
    parser.add_argument("--kills", type=int, default=60, help="how often the daemon is killed at random")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31), help="of all choices")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies how often other faults are injected")
    parser.add_argument("--rate", type=float, default=PER_SECOND, help="webhooks a second")
    parser.add_argument("--life", type=float, default=LIFE_SECONDS, help="seconds until a kill, at most")
    chosen = parser.parse_args()
    unknown = set(chosen.faults) - set(FAULTS)
    if unknown:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    options = Options(chosen.seed, chosen.kills, chosen.scale, chosen.rate, chosen.life)
    print(f"seed {options.seed}, {options.per_second:g} webhooks a second\n{COLUMNS}", flush=True)
    rows, begun = list[Row](), time.monotonic()
    for name in chosen.faults or FAULTS:
        try:
            found = FAULTS[name](options)
        except NotTestedHere as reason:
            print(f"{name:34} SKIPPED: {reason}", flush=True)
            continue
        for row in found:
            print_row(row)
        rows += found
    total = Row("all", *(sum(getattr(row, name) for row in rows) for name in Row.__struct_fields__[1:6]))
    print_row(total)
    print(f"{time.monotonic() - begun:.0f} s, seed {options.seed}")
    return 0 if total.is_zero else 1


def print_row(row: Row) -> None:
    figures = f"{row.times:7}{row.acknowledged:14}{row.lost:6}{row.doubled:9}{row.by_hand:9}"
    print(f"{row.fault:34}{figures}", flush=True)
    for note in row.notes[:NOTES]:
        print(f"    {note}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
