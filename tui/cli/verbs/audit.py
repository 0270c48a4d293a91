"""`stitcher audit`: verifies the chain of hashes over all events, or exports them so that others can verify it."""

import os
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable
from pathlib import Path

import msgspec

from shared.audit import ChainReport, NotAnExport, verify_export
from tui.cli import exits
from tui.cli.parser import add_actions, daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.text.jobs import counted
from tui.text.plain import plain

_ACTIONS = {
    "verify": "verify that no event was changed, removed or put in between",
    "export": "write all events with their hashes, as JSON lines",
}
_HEAD = re.compile(r"[0-9a-f]{8,64}")


def arguments(parser: ArgumentParser) -> None:
    """Add the two actions and their arguments."""
    actions = add_actions(parser, _ACTIONS, required=True)
    verify, export = actions["verify"], actions["export"]
    verify.add_argument(
        "--head", metavar="HASH", type=_head, help="a head that was noted before, or its first 8 or more characters"
    )
    verify.add_argument("--file", metavar="EXPORT", type=Path, help="verify an export, which needs no daemon")
    export.add_argument("--out", metavar="FILE", type=Path, help="a new file; by default stdout")


def run(options: Namespace, terminal: Terminal) -> int:
    """Run the chosen action; exit 1 if the chain is broken."""
    return _verify(options, terminal) if options.action == "verify" else _export(options, terminal)


def _verify(options: Namespace, terminal: Terminal) -> int:
    try:
        if options.file is None:
            report = verify_export(api.export_events(daemon_client(options)).lines(), options.head)
        else:
            with options.file.open("rb") as file:
                report = verify_export((line.removesuffix(b"\n") for line in file), options.head)
    except OSError as error:
        terminal.note(f"stitcher: {plain(str(options.file))} cannot be read: {error.strerror}")
        return exits.USAGE
    except NotAnExport as error:
        terminal.note(f"stitcher: {plain(str(options.file or 'the response'))} cannot be verified: {error}")
        return exits.USAGE
    if options.json:
        terminal.document(msgspec.json.encode(report))
    else:
        terminal.data(_summary(report))
        for note in _notes(report, options.head):
            terminal.note(note)
    return exits.OK if report.intact else exits.FAILED


def _summary(report: ChainReport) -> str:
    since = f" from {plain(report.since[:10])}" if report.since else ""
    verified = f"{counted(report.events, 'event')}{since}"
    fault = report.broken
    if fault is not None:
        place = "the end" if fault.event is None else f"event {fault.event}"
        return f"{verified}, chain broken at {place}: {plain(fault.reason)}"
    found = ", but the given head is not in it" if report.head_found is False else ""
    return f"{verified}, chain unbroken{found}, head {report.head}"


def _notes(report: ChainReport, head: str | None) -> Iterable[str]:
    if report.removed:
        yield f"retention has removed {counted(report.removed, 'event')} in {counted(report.ranges, 'range')}"
    if report.unchained:
        yield f"{counted(report.unchained, 'event')} before these have no hash: they were stored by an earlier version"
    if report.head_found is False and report.broken is None:
        yield (
            f"no event has the hash {head}: events were removed or rewritten since it was noted, or retention has"
            " removed that event"
        )


def _export(options: Namespace, terminal: Terminal) -> int:
    chunks = api.export_events(daemon_client(options)).chunks()
    if options.out is None:
        for chunk in chunks:
            terminal.raw(chunk)
        return exits.OK
    name = plain(str(options.out))
    try:
        size = _write(options.out, chunks)
    except FileExistsError:
        terminal.note(f"stitcher: {name} exists already")
        return exits.USAGE
    except OSError as error:
        terminal.note(f"stitcher: {name} cannot be written: {error.strerror}")
        return exits.FAILED
    if options.json:
        terminal.document(msgspec.json.encode({"file": str(options.out.absolute()), "bytes": size}))
    else:
        terminal.data(name)
    terminal.note(f"to verify it: stitcher audit verify --file {name}")
    return exits.OK


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    """Write a new file, readable by its owner alone, and return its size; one that is not complete is removed."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(chunks)
            return file.tell()
    except BaseException:
        path.unlink()
        raise


def _head(text: str) -> str:
    if not _HEAD.fullmatch(text.lower()):
        raise ArgumentTypeError(f"{plain(text)} is not a hash: expected 8 to 64 hexadecimal digits")
    return text.lower()
