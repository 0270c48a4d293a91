"""Writes the files of a git repository: those of a new one, copies of objects, and an index that was read before.

The layout is that of gitrepository-layout(5). Nothing of another repository's configuration or hooks gets into it.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from msgspec import Struct

SHA256_LENGTH = 64
COPY_CHUNK = 2**30  # bytes that the kernel copies at once
_NOT_OBJECTS = ("tmp_", "alternates")  # what a git that was killed left, and the way to the objects of others
_CANNOT_CLONE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # copy_file_range(2) between file systems


class NewRepository(Struct, frozen=True, kw_only=True):
    """A repository to write: `head` is the content of HEAD, a sha or `ref: refs/heads/…`.

    `refs` are shas by full name. Objects are found in the directories `alternates`, besides its own. `shallow` is the
    file of that name of the repository from which the objects are.
    """

    head: str
    bare: bool = False
    is_sha256: bool = False
    refs: Mapping[str, str] = {}
    alternates: tuple[Path, ...] = ()
    shallow: bytes | None = None


class IndexFile(Struct, frozen=True):
    """An index that was read, to be written again later as it was.

    Its modification time is part of it: git compares the content of each file that may be as new (racy-git.txt).
    """

    content: bytes
    modified_ns: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the index at a path. Raises OSError."""
        with path.open("rb") as file:
            return cls(file.read(), os.fstat(file.fileno()).st_mtime_ns)

    def write(self, path: Path) -> None:
        """Write the index to a path at which there is none. Raises OSError."""
        with path.open("xb") as file:
            file.write(self.content)
        os.utime(path, ns=(self.modified_ns, self.modified_ns))


def write_repository(path: Path, new: NewRepository) -> None:
    """Write the files of a repository into a directory that does not exist yet. Raises OSError."""
    path.mkdir(mode=0o755)
    for directory in ("objects", "objects/info", "objects/pack", "refs", "refs/heads", "refs/tags"):
        (path / directory).mkdir()
    (path / "HEAD").write_text(f"{new.head}\n")
    (path / "config").write_text(_config(new))
    if new.refs:
        lines = (f"{sha} {name}\n" for name, sha in new.refs.items())
        (path / "packed-refs").write_text("".join(lines), errors="surrogateescape")
    if new.alternates:
        (path / "objects/info/alternates").write_text("".join(f"{each}\n" for each in new.alternates))
    if new.shallow is not None:
        (path / "shallow").write_bytes(new.shallow)


def copy_objects(source: Path, target: Path) -> None:
    """Copy all objects of a repository to another one, which then shares nothing with it. Raises OSError.

    Both are directories `objects`. A file system that can do so shares the blocks until one of them is written.
    """
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                (target / entry.name).mkdir(exist_ok=True)
                copy_objects(Path(entry.path), target / entry.name)
            elif entry.is_file(follow_symlinks=False) and not entry.name.startswith(_NOT_OBJECTS):
                _copy_file(entry.path, target / entry.name)


def _config(new: NewRepository) -> str:
    lines = [
        "[core]",
        f"\trepositoryformatversion = {int(new.is_sha256)}",
        "\tfilemode = true",
        f"\tbare = {str(new.bare).lower()}",
        *([] if new.bare else ["\tlogallrefupdates = true"]),
        *(["[extensions]", "\tobjectformat = sha256"] if new.is_sha256 else []),
    ]
    return "\n".join((*lines, ""))


def _copy_file(source: str, target: Path) -> None:
    with open(source, "rb") as reader, target.open("xb") as writer:  # noqa: PTH123 (as scandir names it)
        os.fchmod(writer.fileno(), 0o444)
        left = os.fstat(reader.fileno()).st_size
        copy = _copy_range
        while left:
            try:
                copied = copy(reader.fileno(), writer.fileno(), min(left, COPY_CHUNK))
            except OSError as error:
                if copy is not _copy_range or error.errno not in _CANNOT_CLONE:
                    raise
                copy = _send
                continue
            if copied == 0:
                raise OSError(errno.EIO, f"{source} was cut while it was copied")
            left -= copied


def _copy_range(source: int, target: int, count: int) -> int:
    return os.copy_file_range(source, target, count)


def _send(source: int, target: int, count: int) -> int:
    return os.sendfile(target, source, None, count)
