"""The command `stitcherd store copy`: copies the SQLite file of a stopped daemon, and its logs, to PostgreSQL."""

import sys
from collections.abc import Iterator
from pathlib import Path

from shared import locations
from stitcherd.jobs.logs import find_outputs
from stitcherd.jobs.stored_outputs import place_of
from stitcherd.processes.file_lock import LockHeld, acquire_lock
from stitcherd.store.copying import PIECES, CannotCopy, copy_rows, count_rows, open_source, open_target
from stitcherd.store.migrate import NewerDatabase
from stitcherd.store.pieces import PIECE_MAX, OutputPlace
from stitcherd.store.sqlite import DATABASE


def copy_store(dsn: str, directory: Path, *, dry_run: bool) -> int:
    """Copy the state of a configuration directory to an empty database; return 0, or 1 if nothing was copied."""
    state = locations.state_dir(directory)
    if not state.is_dir():
        print(f"stitcherd: nothing was copied: there is no state directory {state}", file=sys.stderr)
        return 1
    try:
        with (
            acquire_lock(state / "lock", f"state directory {state}"),
            open_source(state / DATABASE) as source,
            open_target(dsn) as target,
        ):
            if dry_run:
                rows = {**count_rows(source), PIECES: _count_pieces(state)}
            else:
                rows = copy_rows(source, target, _pieces(state), _report)
    except LockHeld as error:
        print(f"stitcherd: {error}: stop it first", file=sys.stderr)
        return 1
    except (CannotCopy, NewerDatabase, OSError) as error:
        print(f"stitcherd: nothing was copied: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stitcherd: interrupted: nothing was copied", file=sys.stderr)
        return 1
    found = f"{sum(rows.values()):,} rows of {len(rows)} tables"
    if dry_run:
        print(f"nothing was copied: {found} would be, among them {rows['jobs']:,} jobs and {rows['events']:,} events")
    else:
        print(f"{found} were copied, and are the same in both databases; now set [store] in {locations.SETTINGS_FILE}")
    return 0


def _pieces(state: Path) -> Iterator[tuple[OutputPlace, int, bytes]]:
    for path in find_outputs(state):
        start = 0
        with path.open("rb") as file:
            while (data := file.read(PIECE_MAX)) or start == 0:  # an empty diff has a piece, too
                yield place_of(path), start, data
                start += len(data)
                if not data:
                    break


def _count_pieces(state: Path) -> int:
    return sum(max(1, -(-path.stat().st_size // PIECE_MAX)) for path in find_outputs(state))


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
