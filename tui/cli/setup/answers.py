"""The answers that `stitcher init` needs, and how each is read: an answer that cannot be used says why at once."""

import re
import shlex
import shutil
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct

from shared.locations import expand_home
from tui.cli.agents import KNOWN_AGENTS, FoundAgent
from tui.text.plain import plain

LEVELS = ("read", "write", "admin")
GATEWAY = "openclaw"
GATEWAY_TOKEN = "OPENCLAW_GATEWAY_TOKEN"  # noqa: S105 (a variable's name)
BY_SOURCE = "source"  # everything that the source signs, as what the mosaic bot sends without an author

_PERMISSION = "permission:"
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\[bot\])?(#[0-9]+)?")
_REPOSITORY = re.compile(r"(?!-)[A-Za-z0-9_.*-]+(/[A-Za-z0-9_.*-]+)+")
_URL = re.compile(r"(https|ssh|git|file)://[^\s\"]+|[\w.-]+@[\w.-]+:[^\s\"]+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class InvalidAnswer(ValueError):
    """An answer that cannot be used; the message is a sentence that says why, or what can be answered."""


class ForgeKind(Struct, frozen=True):
    """A kind of source: its variables, where its API usually is, and what the path of an API is there."""

    name: str
    about: str
    api: str = ""
    api_path: str = ""
    token_rights: str = ""

    @property
    def token_name(self) -> str:
        """The variable with the token of the bot's account."""
        return f"{self.name.upper()}_TOKEN"

    @property
    def secret_name(self) -> str:
        """The variable with the secret of webhooks."""
        return f"{self.name.upper()}_WEBHOOK_SECRET"

    @property
    def is_forge(self) -> bool:
        """Whether it has an API."""
        return bool(self.api_path)


FORGES = {
    kind.name: kind
    for kind in (
        ForgeKind("github", "GitHub", "https://api.github.com", "/api/v3", "Contents, Issues, Pull requests: write"),
        ForgeKind("gitea", "Gitea or Forgejo", "", "/api/v1", "read:user, write:issue, write:repository"),
        ForgeKind("gitlab", "GitLab", "https://gitlab.com/api/v4", "/api/v4", "api, write_repository"),
        ForgeKind("mosaic", "only the @mosaic bot, by webhooks"),
    )
}
_OTHER_NAMES = {"forgejo": "gitea"}


class CommandAgent(Struct, frozen=True):
    """Any program: it reads the prompt and works in its working directory; `program` is its path."""

    argv: tuple[str, ...]
    program: str


class Gateway(Struct, frozen=True):
    """An OpenClaw gateway."""

    url: str


Agent: TypeAlias = FoundAgent | CommandAgent | Gateway


class Allowed(Struct, frozen=True):
    """Who may start jobs: accounts of the source, whoever has a permission at the forge, or the source itself."""

    logins: tuple[str, ...] = ()
    permission: str | None = None
    by_source: bool = False


class ForgeAnswer(Struct, frozen=True):
    """A source; `api` and `token` go together, and `pull` needs both."""

    kind: ForgeKind
    bot: str = "mosaic"
    api: str | None = None
    token: str | None = None
    pull: bool = False


class SetupAnswers(Struct, frozen=True):
    """All answers; what is None or empty stays as the shipped files have it."""

    forge: ForgeAnswer | None = None
    repositories: tuple[str, ...] = ()
    clone: str | None = None
    agent: Agent | None = None
    allowed: Allowed | None = None
    listen: str | None = None
    variables: dict[str, str] = {}

    @property
    def given(self) -> bool:
        """Whether there is any answer."""
        return self != SetupAnswers()


def read_forge(text: str) -> ForgeKind:
    """Return the kind of a name."""
    name = text.lower()
    if kind := FORGES.get(_OTHER_NAMES.get(name, name)):
        return kind
    raise InvalidAnswer(f"{plain(text)!r} is none of {', '.join([*FORGES, *_OTHER_NAMES])}")


def read_api(text: str, kind: ForgeKind) -> str:
    """Return the URL of the API; that of the forge itself gets the path that its API has."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"https", "http"} or not text.isprintable() or any(map(text.count, ' "@?#')):
        raise InvalidAnswer(f"{plain(text)!r} is not a URL like https://HOST{kind.api_path}")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise InvalidAnswer("the URL must start with https://: the token would be readable on the way")
    if kind.name == "github" and host in {"github.com", "api.github.com"}:
        return kind.api
    return text.rstrip("/") if parts.path.strip("/") else text.rstrip("/") + kind.api_path


def read_way(text: str) -> bool:
    """Return whether the forge is asked: pull, or webhooks."""
    if text not in {"pull", "webhooks"}:
        raise InvalidAnswer(f"{plain(text)!r} is neither pull nor webhooks")
    return text == "pull"


def read_login(text: str) -> str:
    """Return a login, without the @ that it may be written with."""
    login = text.removeprefix("@")
    if not _LOGIN.fullmatch(login):
        raise InvalidAnswer(f"{plain(text)!r} is not a login")
    return login


def read_secret(text: str) -> str:
    """Return a token or a key: one word, which can be a line of the environment file."""
    if not text or not text.isascii() or not text.isprintable() or any(map(text.count, " \"'\\")):
        raise InvalidAnswer("it must be one word of ASCII characters, without quotes")
    return text


def read_repositories(text: str) -> tuple[str, ...]:
    """Return the patterns of repositories, of which each is written once."""
    patterns = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for pattern in patterns:
        if not _REPOSITORY.fullmatch(pattern) or ".." in pattern:
            raise InvalidAnswer(f"{plain(pattern)!r} is neither owner/name nor owner/*")
    if not patterns:
        raise InvalidAnswer("name at least one: owner/name, or owner/* for all of an owner")
    return patterns


def read_clone(text: str, repositories: tuple[str, ...], forge: ForgeAnswer | None) -> str:
    """Return where the repositories are cloned from: a path, or a URL if the forge has a token; the same for all."""
    if not text.isprintable() or not (text.startswith(("/", "~/")) or _URL.fullmatch(text)):
        raise InvalidAnswer(f"{plain(text)!r} is neither a path like /srv/git/{{name}}.git nor a URL that git supports")
    if forge and not forge.token and not text.startswith(("/", "~", "file:")):
        raise InvalidAnswer("a URL needs a token of its forge: without one, name a path on this machine")
    placeholders = set(_PLACEHOLDER.findall(text))
    if unknown := placeholders - {"owner", "name"}:
        raise InvalidAnswer(f"{{{plain(unknown.pop())}}} is unknown: there are {{owner}} and {{name}}")
    if "name" not in placeholders and (len(repositories) > 1 or any("*" in each for each in repositories)):
        raise InvalidAnswer("several repositories would be cloned from the same place: write {name} for their names")
    if not placeholders and text.startswith(("/", "~")) and not Path(expand_home(text)).is_dir():
        raise InvalidAnswer(f"there is no directory {plain(text)}")
    return text


def read_agent(text: str, found: list[FoundAgent]) -> Agent:
    """Return the agent of a name: one that is on PATH, the gateway, or a command line."""
    by_name: dict[str, Agent] = {each.agent.name: each for each in found}
    if text in by_name:
        return by_name[text]
    if text == GATEWAY:
        return Gateway("ws://127.0.0.1:18789")
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise InvalidAnswer(f"the command cannot be read: {error}") from None
    program = shutil.which(expand_home(argv[0])) if argv else None
    if program is None or not text.isprintable():
        known = any(each.name == text for each in KNOWN_AGENTS)
        hint = "install it first" if known else f"answer a command, {', '.join([*by_name, GATEWAY])}"
        raise InvalidAnswer(f"there is no program {plain(argv[0] if argv else text)!r} on PATH: {hint}")
    return CommandAgent((program if "/" in argv[0] else argv[0], *argv[1:]), program)


def read_gateway(text: str) -> Gateway:
    """Return the gateway at a URL."""
    if not re.fullmatch(r"wss?://[^/\s\"]\S*", text) or '"' in text:
        raise InvalidAnswer(f"{plain(text)!r} is not a URL like ws://127.0.0.1:18789")
    return Gateway(text)


def read_allowed(text: str, forge: ForgeAnswer) -> Allowed:
    """Return who may start jobs."""
    words = text.replace(",", " ").split()
    levels = [word.removeprefix(_PERMISSION) for word in words if word.startswith(_PERMISSION)]
    logins = tuple(dict.fromkeys(read_login(word) for word in words if not word.startswith(_PERMISSION)))
    by_source = forge.kind.name == "mosaic" and BY_SOURCE in logins
    if len(levels) > 1 or any(level not in LEVELS for level in levels):
        raise InvalidAnswer(f"write one of {', '.join(_PERMISSION + level for level in LEVELS)}")
    if levels and not forge.token:
        remedy = f"set {forge.kind.token_name}, or name logins" if forge.kind.is_forge else "name logins"
        raise InvalidAnswer(f"a permission is asked of the forge, which needs a token: {remedy}")
    if not words:
        raise InvalidAnswer("name at least one login")
    logins = tuple(login for login in logins if not (by_source and login == BY_SOURCE))
    return Allowed(logins, levels[0] if levels else None, by_source)


def read_listen(text: str) -> str:
    """Return an address of this machine and a port."""
    host, _, port = text.rpartition(":")
    if host not in {"localhost", "127.0.0.1", "[::1]"} or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidAnswer(f"{plain(text)!r} is not an address of this machine and a port, like 127.0.0.1:8466")
    return text
