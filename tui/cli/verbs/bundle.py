"""`stitcher bundle`: a job with all that is known of it, in one file for a report or for the record."""

import io
import os
import tarfile
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

import msgspec

from shared import ids
from shared.models import RunnerJob
from tui.cli import bundle, exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import DaemonClient, decode, job_path
from tui.text.jobs import counted
from tui.text.plain import plain

_PATIENCE = 60.0  # seconds for one part: a log may have many MiB
_STDOUT = "-"
_WARNING = "it may hold source code, prompts and what people wrote: look before you hand it on"


def arguments(parser: ArgumentParser) -> None:
    """Add the job and the file."""
    parser.add_argument("job", metavar="JOB", help="its id, or the end of it from 6 characters on")
    file = "where to; a directory gets the usual name, - is stdout (stitcher-JOB.tar.gz here)"
    parser.add_argument("-o", "--output", metavar="FILE", help=file)
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def run(options: Namespace, terminal: Terminal) -> int:
    """Write the bundle, readable for its owner alone, and print where; exit 2 for a file that is there already."""
    streams = options.output == _STDOUT
    if streams and (terminal.watched or options.json):
        why = "--json says where the file is, so -o - does not go with it" if options.json else "this is no text"
        terminal.note(f"stitcher: {why}: name a file with -o FILE, or send -o - into a pipe")
        return exits.USAGE
    daemon = DaemonClient(daemon_client(options).path, _PATIENCE)
    job_id = decode(daemon.get(job_path(options.job)), RunnerJob).id
    name = f"stitcher-{ids.short_id(job_id)}"
    target = _target(options.output, f"{name}.tar.gz")
    if not streams and target.exists() and not (options.force and target.is_file()):
        terminal.note(f"stitcher: {plain(str(target))} is there already{_way_out(target)}")
        return exits.USAGE
    files = dict(bundle.bundle_files(daemon, job_id))
    archive = _packed(name, files)
    if streams:
        terminal.raw(archive)
    else:
        try:
            _write(target, archive)
        except OSError as error:
            terminal.note(f"stitcher: {plain(str(target))} cannot be written: {error.strerror}")
            return exits.FAILED
        _tell(target, archive, list(files), options, terminal)
    terminal.note(f"{counted(len(files), 'file')}, {len(archive) / 1024:,.1f} KiB; {_WARNING}")
    if bundle.MISSING in files[bundle.README]:
        terminal.note(f"not all could be had: {bundle.README} in it says what, and why")
    return exits.OK


def _target(output: str | None, usual: str) -> Path:
    path = Path(output or usual)
    return path / usual if path.is_dir() else path


def _way_out(target: Path) -> str:
    return "; replace it with --force" if target.is_file() else ", and is no file"


def _packed(name: str, files: dict[str, bytes]) -> bytes:
    """Return a .tar.gz in which all lies below one directory, and nothing tells who packed it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for file, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, ids.now_ms() // 1000
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def _write(target: Path, archive: bytes) -> None:
    """Put the whole file there, or nothing."""
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(archive)
        Path(beside).replace(target)
    finally:
        Path(beside).unlink(missing_ok=True)


def _tell(target: Path, archive: bytes, files: list[str], options: Namespace, terminal: Terminal) -> None:
    if options.json:
        said = {"file": str(target.absolute()), "bytes": len(archive), "files": sorted(files)}
        terminal.document(msgspec.json.encode(said))
    else:
        terminal.data(plain(str(target)))
