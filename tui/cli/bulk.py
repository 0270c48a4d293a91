"""One verb over every job that passes a filter, and where a filter cannot be read."""

from argparse import Namespace
from collections.abc import Sequence

import msgspec

from shared import ids
from shared.locations import config_dir
from shared.models import BulkItem, BulkResult
from tui import exits
from tui.client import Daemon, Refused, decode, reach
from tui.plain import plain, width
from tui.terminal import Terminal
from tui.views import ViewError, expanded, load
from tui.wording import count, state

ROUTE = "/runner-jobs/bulk"
PATIENCE = 600.0  # seconds: many jobs are changed a few at a time
NAMED = 10  # jobs that one line names


class _Place(msgspec.Struct):
    column: int


def run(options: Namespace, terminal: Terminal, verb: str) -> int:
    """Do `verb` to every job that passes `--filter`, or with --dry-run say to which; returns the exit code."""
    daemon = Daemon(reach(options).path, PATIENCE)
    try:
        options.filter = in_full(options.filter, options)
        if not (options.yes or options.dry_run):
            refused = _asked(options.filter, daemon, terminal, verb)
            if refused is not None:
                return refused
        document = _ask(daemon, verb, options.filter, dry_run=options.dry_run)
    except ViewError as said:
        terminal.note(f"stitcher: {said}")
        return exits.USAGE
    except Refused as refused:
        if told(refused, options.filter, terminal):
            return exits.USAGE
        raise
    result = decode(document, BulkResult)
    if options.json:
        terminal.document(document)
    else:
        _tell(result, terminal, verb, dry_run=options.dry_run)
    return exits.of_many([exits.OK if item.ok else exits.FAILED for item in result.items]) if result.items else exits.OK


def in_full(text: str, options: Namespace) -> str:
    """Return a filter with the user's own views, `@stuck`, written out; raises ViewError."""
    return expanded(text, load(config_dir(options.config))) if "@" in text else text


def told(refused: Refused, text: str, terminal: Terminal) -> bool:
    """Point at the place where the daemon stopped reading a filter; return whether that was its trouble."""
    column = _column(refused)
    if column is None:
        return False
    terminal.note(f"stitcher: {refused}")
    terminal.note(f"  {plain(text)}")
    terminal.note(f"  {' ' * width(plain(text[: column - 1]))}^")
    return True


def _column(refused: Refused) -> int | None:
    try:
        return msgspec.json.decode(refused.document, type=_Place).column
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _ask(daemon: Daemon, verb: str, text: str, *, dry_run: bool) -> bytes:
    return daemon.post(ROUTE, {"action": verb, "q": text, "dryRun": dry_run})


def _asked(text: str, daemon: Daemon, terminal: Terminal, verb: str) -> int | None:
    """Ask whether the jobs are meant; returns the exit code where they are not to be touched."""
    if not terminal.interactive:
        terminal.note(f"stitcher: to {verb} what passes a filter without a terminal needs --yes")
        return exits.USAGE
    would = decode(_ask(daemon, verb, text, dry_run=True), BulkResult)
    able = [item for item in would.items if item.ok]
    _tell(BulkResult(would.matched, tuple(item for item in would.items if not item.ok)), terminal, verb, dry_run=True)
    if not able:
        return exits.FAILED if would.items else exits.OK
    if terminal.ask(f"{verb} {count(len(able), 'job')}?"):
        return None
    terminal.note("nothing was changed")
    return exits.FAILED


def _tell(result: BulkResult, terminal: Terminal, verb: str, *, dry_run: bool) -> None:
    done = [item for item in result.items if item.ok]
    if not result.matched:
        terminal.note("no job passes the filter; look with: stitcher ls FILTER")
    if done and dry_run:
        terminal.data(f"would {verb} {count(len(done), 'job')}: {_names(done)}")
    elif done:
        for item in done:
            now = state(item.status, cancelling=verb == "cancel")
            terminal.data(f"{ids.short(item.id)}  {now.glyph} {now.word}")
    for why, items in _by_reason(result.items).items():
        terminal.note(f"cannot {verb} {count(len(items), 'job')}, {why}: {_names(items)}")


def _by_reason(items: Sequence[BulkItem]) -> dict[str, list[BulkItem]]:
    reasons: dict[str, list[BulkItem]] = {}
    for item in items:
        if not item.ok:
            simple = item.code in {"not_cancellable", "not_retryable"}
            reasons.setdefault(state(item.status).word if simple else plain(str(item.code)), []).append(item)
    return reasons


def _names(items: Sequence[BulkItem]) -> str:
    names = [plain(ids.short(item.id)) for item in items[:NAMED]]
    more = [f"and {len(items) - NAMED:,} more"] if len(items) > NAMED else []
    return ", ".join(names + more)
