"""Runs git with arguments as a list and Stitcher's own configuration only, and never with a hook or a prompt."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from msgspec import Struct

from stitcherd import processes

# These override the configuration of a repository; whatever could start a program is disabled.
SAFE_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.quotePath=false",
    "protocol.version=2",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.addEmbeddedRepo=false",
    "fetch.recurseSubmodules=false",
    "push.followTags=false",
    "push.recurseSubmodules=no",
    "checkout.workers=0",  # as many as there are cores, from 100 files on
)


def _as_options(settings: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for setting in settings for word in ("-c", setting))


OPTIONS = _as_options(SAFE_CONFIG)

# What a connection to a forge may need of the daemon's environment. ssh finds ~/.ssh by the user, not by HOME.
NETWORK_ENVIRONMENT = (
    "HOME",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
)
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed
VERDICT_LINES = 4  # of git's own output that a sentence ends with
REMOTE_TEXT_MAX = 4000  # characters of what a server said that a sentence includes


class GitError(Exception):
    """Git failed; the text is a sentence with what a server said and git's last lines, `output` is all that was said.

    Neither contains credentials or control characters.
    """

    def __init__(self, sentence: str, output: str = "") -> None:
        super().__init__(_clean(sentence))
        self.output = _clean(output or sentence)


class GitFailed(GitError):
    """Git itself failed, or what is done to the files of a repository in its place.

    `code` is the exit status, None where git did not exit by itself.
    """

    def __init__(self, sentence: str, output: str = "", code: int | None = None) -> None:
        super().__init__(sentence, output)
        self.code = code


class UncommittableTree(GitError):
    """A work tree cannot be committed, for a reason that who works in it can remove."""


class RunGit(Protocol):
    """Runs git on one repository, and on one index unless another is given."""

    async def __call__(
        self, *words: str, tree: Path | None = None, index: Path | None = None, stdin: bytes = b""
    ) -> bytes:
        """Return its stdout. Raises GitFailed."""
        ...


class Git(Struct, frozen=True):
    """Git with a home directory of its own, which holds only the one setting that cannot be given as an argument."""

    home: Path

    @classmethod
    def with_home(cls, home: Path) -> Self:
        """Create the home directory, and return git with it."""
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The operator names the repositories, and they may belong to another user: a forge's, root.
        (home / "config").write_text("[safe]\n\tdirectory = *\n")
        return cls(home)

    async def __call__(
        self,
        *words: str,
        repository: Path | None = None,
        tree: Path | None = None,
        index: Path | None = None,
        cwd: Path | None = None,
        stdin: bytes = b"",
        author: str = "Stitcher",
        protocols: str | None = None,
        settings: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
        timeout: float = 300.0,  # noqa: ASYNC109 (a timeout is reported as a failure of git)
    ) -> bytes:
        """Run git and return its stdout; `timeout` is in seconds.

        `protocols` (`file:ssh`) are those allowed to a call that contacts other repositories. `settings` (`a.b=c`) are
        added to the configuration, and git inherits the file descriptors `pass_fds`. Raises GitFailed.
        """
        place = ["--git-dir", str(repository)] if repository else []
        place += ["--work-tree", str(tree)] if tree else []
        try:
            ended = await processes.capture(
                ("git", *OPTIONS, *_as_options(settings), *place, *words),
                cwd=cwd or tree or repository or self.home,
                env=self._environment(index, author, protocols),
                stdin=stdin,
                timeout=timeout,
                pass_fds=pass_fds,
            )
        except processes.CannotStart as error:
            raise GitFailed(str(error)) from error
        if ended.exit.timed_out:
            raise GitFailed(f"git {words[0]} was still running after {timeout:g} s and was ended.")
        code = ended.exit.code
        if code != 0:
            output = ended.stderr.decode(errors="replace").strip()
            sentence = f"git {words[0]} failed: {_summarise(output) or f'it {ended.exit}'}"
            raise GitFailed(sentence, output, code if code is not None and code > 0 else None)
        return ended.stdout

    def _environment(self, index: Path | None, author: str, protocols: str | None) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in NETWORK_ENVIRONMENT if protocols and name in os.environ}
        return {
            "HOME": str(self.home),
            **inherited,
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.home / "config"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
            "GIT_ALLOW_PROTOCOL": protocols or "file",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": "stitcher@localhost",
            "GIT_COMMITTER_NAME": "Stitcher",
            "GIT_COMMITTER_EMAIL": "stitcher@localhost",
            **({"GIT_INDEX_FILE": str(index)} if index else {}),
        }


def without_controls(text: str) -> str:
    """Return a text without control characters; tabs and line feeds are kept."""
    return CONTROL_CHARACTERS.sub("", text)


def _clean(text: str) -> str:
    return without_controls(CREDENTIALS.sub("", text))


def _summarise(output: str) -> str:
    """Return what a server said, without its empty lines, and then the last lines of git itself."""
    lines = [line.strip() for line in output.splitlines()]
    said = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    own = [line for line in lines if not line.startswith("remote:")][-VERDICT_LINES:]
    return " ".join(filter(None, [" ".join(filter(None, said))[:REMOTE_TEXT_MAX], *own]))
