"""Runs the git commands that contact the repository of a mirror, with its credential where it has one.

The credential reaches git by a helper that reads an inherited pipe. It is given for one origin only, and redirects are
not followed: otherwise git would send it to whatever host a redirect names. It is on no command line, in no
environment and in no file.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stitcherd.git import Git, GitError

PROTOCOLS = "file:git:http:https:ssh"
OUTAGE = re.compile(
    r"could not resolve host|failed to connect|couldn't connect|connection (refused|reset|timed out)|timed out"
    r"|network is unreachable|no route to host|returned error: (408|429|5\d\d)|still running after|empty reply"
    r"|early eof|unexpected disconnect|rpc failed|connection closed by remote",
    re.IGNORECASE,
)


class RemoteUnreachable(GitError):
    """The repository did not answer as a repository does; it may do so later."""


class CredentialRefused(GitError):
    """The forge gives no credential for the repository, to an App without the rights for one; waiting does not help."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A name and a password for one origin, like `https://forge.example:8443`."""

    origin: str
    username: str
    password: str = field(repr=False)


class FindCredential(Protocol):
    """Finds the credential for the repository at a path or a URL, None where that needs none.

    With `workflows` it is to push a change of workflows, for which GitHub wants a right of its own. Raises GitError.
    """

    async def __call__(self, clone: str, *, workflows: bool = False) -> Credential | None:
        """Return the credential."""


async def no_credential(clone: str, *, workflows: bool = False) -> None:
    """Return no credential, whatever the repository."""


class Remote:
    """The repository at `clone`, a path or a URL."""

    def __init__(self, git: Git, clone: str, find_credential: FindCredential = no_credential) -> None:
        self.clone = clone
        self._git = git
        self._find_credential = find_credential

    @property
    def is_path(self) -> bool:
        """Whether the repository is on this machine."""
        return self.clone.startswith(("/", "file:"))

    async def run(
        self,
        *options: str,
        arguments: Sequence[str] = (),
        repository: Path | None = None,
        cwd: Path | None = None,
        timeout: float = 300.0,  # noqa: ASYNC109 (as in Git)
        workflows: bool = False,
    ) -> bytes:
        """Run a git command with `options`, the repository, and then `arguments`; return its stdout.

        `timeout` is in seconds, `workflows` as for FindCredential. Raises GitError, and what `find_credential` raises.
        """
        credential = None if self.is_path else await self._find_credential(self.clone, workflows=workflows)
        with _piped(credential) as (settings, descriptors):
            return await self._git(
                *options,
                "--",
                self.clone,
                *arguments,
                repository=repository,
                cwd=cwd,  # by default the repository: the processes of a job are found by their directory
                protocols=PROTOCOLS if credential is None else credential.origin.partition(":")[0],
                settings=settings,
                pass_fds=descriptors,
                timeout=timeout,
            )

    def is_away(self, error: GitError) -> bool:
        """Say whether git failed because of an outage of the repository's server, which may pass."""
        return not self.is_path and OUTAGE.search(f"{error} {error.output}") is not None

    async def find_head(self, branch: str) -> str:
        """Return the sha that a branch has now, empty if there is no such branch. Raises GitError."""
        return await self.find_ref(f"refs/heads/{branch}")

    async def find_ref(self, ref: str) -> str:
        """Return the sha that a full ref has now, empty if there is no such ref. Raises GitError."""
        listed = await self.run("ls-remote", arguments=(ref,))
        found = {name: sha for sha, _, name in (line.partition("\t") for line in os.fsdecode(listed).splitlines())}
        return found.get(ref, "")  # git lists all refs that end with what is asked for


@contextmanager
def _piped(credential: Credential | None) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Write a credential to a pipe; yield the settings with which git reads it there, and the descriptor to pass on."""
    if credential is None:
        yield (), ()
        return
    reader, writer = os.pipe()
    try:
        with open(writer, "wb") as pipe:  # noqa: PTH123 (a descriptor, not a path)
            pipe.write(f"username={credential.username}\npassword={credential.password}\n".encode())
        helper = f'!f() {{ test "$1" = get && cat /dev/fd/{reader}; }}; f'
        settings = (
            "credential.helper=",  # none of anybody else
            f"credential.{credential.origin}.helper={helper}",
            "http.followRedirects=false",
        )
        yield settings, (reader,)
    finally:
        os.close(reader)
