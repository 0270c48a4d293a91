"""`stitcher bundle`: saves a job and everything known about it in one file."""

import io
import os
import tarfile
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

import msgspec

from shared import ids
from shared.units import format_size
from tui.cli import exits
from tui.cli.bundle import MISSING, README, bundle_files
from tui.cli.parser import ID_HELP, daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.text.jobs import counted
from tui.text.plain import plain

_TIMEOUT = 60.0  # seconds for one part: a log may have many MiB
_STDOUT = "-"
_WARNING = "it may contain source code, prompts and what people wrote: check it before you share it"


def arguments(parser: ArgumentParser) -> None:
    """Add the job and the file."""
    parser.add_argument("job", metavar="JOB", help=ID_HELP)
    file = "the file, or a directory for the default name stitcher-JOB.tar.gz; - is stdout"
    parser.add_argument("-o", "--output", metavar="FILE", help=file)
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def run(options: Namespace, terminal: Terminal) -> int:
    """Write the bundle, readable by its owner alone, and print its path; exit 2 if the file exists."""
    to_stdout = options.output == _STDOUT
    if to_stdout and (terminal.stdout_is_terminal or options.json):
        reason = "--json prints the path, so it excludes -o -" if options.json else "the bundle is not text"
        terminal.note(f"stitcher: {reason}: name a file with -o FILE, or pipe -o - into a program")
        return exits.USAGE
    client = daemon_client(options).with_timeout(_TIMEOUT)
    job_id = api.get_job(client, options.job).value.id
    name = f"stitcher-{ids.short_id(job_id)}"
    target = _target(options.output, f"{name}.tar.gz")
    if not to_stdout and target.exists() and not (options.force and target.is_file()):
        advice = "; replace it with --force" if target.is_file() else " and is not a regular file"
        terminal.note(f"stitcher: {plain(str(target))} exists already{advice}")
        return exits.USAGE
    files = dict(bundle_files(client, job_id))
    archive = _pack(name, files)
    if to_stdout:
        terminal.raw(archive)
    else:
        try:
            _write(target, archive)
        except OSError as error:
            terminal.note(f"stitcher: {plain(str(target))} cannot be written: {error.strerror}")
            return exits.FAILED
        _print_target(target, archive, list(files), options, terminal)
    terminal.note(f"{counted(len(files), 'file')}, {format_size(len(archive))}; {_WARNING}")
    if MISSING in files[README]:
        terminal.note(f"some parts are missing: {README} in it lists them, with reasons")
    return exits.OK


def _target(output: str | None, default_name: str) -> Path:
    path = Path(output or default_name)
    return path / default_name if path.is_dir() else path


def _pack(name: str, files: dict[str, bytes]) -> bytes:
    """Return a .tar.gz with all files below one directory, and without the name of the user who made it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for file, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, ids.now_ms() // 1000
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def _write(target: Path, archive: bytes) -> None:
    """Write the file atomically."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(archive)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _print_target(target: Path, archive: bytes, files: list[str], options: Namespace, terminal: Terminal) -> None:
    if options.json:
        result = {"file": str(target.absolute()), "bytes": len(archive), "files": sorted(files)}
        terminal.document(msgspec.json.encode(result))
    else:
        terminal.data(plain(str(target)))
