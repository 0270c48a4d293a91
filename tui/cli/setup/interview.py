"""Takes each answer of `stitcher init` from its flag, else from a question on the terminal, else its default."""

import os
import secrets
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TypeVar

from tui.cli.agents import FoundAgent
from tui.cli.setup import answers
from tui.cli.setup.answers import (
    FORGES,
    GATEWAY,
    GATEWAY_TOKEN,
    Agent,
    Allowed,
    CommandAgent,
    ForgeAnswer,
    ForgeKind,
    Gateway,
    InvalidAnswer,
    SetupAnswers,
)
from tui.cli.terminal import Terminal

T = TypeVar("T")


def take_answers(options: Namespace, found: Sequence[FoundAgent], terminal: Terminal, *, asks: bool) -> SetupAnswers:
    """Return the answers; raises InvalidAnswer for a flag, KeyboardInterrupt if the user gives up."""
    return _Interview(options, list(found), terminal if asks else None).answers()


class _Interview:
    def __init__(self, options: Namespace, found: list[FoundAgent], terminal: Terminal | None) -> None:
        self._options = options
        self._found = found
        self._terminal = terminal
        self._variables: dict[str, str] = {}

    def answers(self) -> SetupAnswers:
        options = self._options
        listen = self._settle("--listen", options.listen, "", answers.read_listen) if options.listen else None
        forge = self._forge()
        repositories, clone = self._repositories(forge)
        agent = self._agent()
        allowed = self._allowed(forge)
        return SetupAnswers(forge, repositories, clone, agent, allowed, listen, self._variables)

    def _forge(self) -> ForgeAnswer | None:
        options = self._options
        self._say("", "1. Where are the issues and comments that start jobs?", *_menu(FORGES))
        kind = self._settle(
            "--forge", options.forge, "forge", answers.read_forge, "github", menu=list(FORGES), own=True
        )
        if kind is None:
            _need_no(options, "--forge", "api", "events", "bot", "allow")
            return None
        if not kind.is_forge:
            _need_no(options, "a forge with an API", "api", "events")
            bot = self._settle("--bot", options.bot, "the bot's account", answers.read_login, "mosaic")
            self._add_webhook_secret(kind)
            return ForgeAnswer(kind, bot or "mosaic")
        api = self._settle(
            "--api", options.api, f"its API, or its address{'' if kind.api else ', like https://git.example.org'}",
            lambda text: answers.read_api(text, kind), kind.api or None,
        )  # fmt: skip
        if api is None:
            raise InvalidAnswer(f"--forge {kind.name} needs --api: its address, like https://git.example.org")
        self._say("   pull: stitcherd asks the forge every 60s, and nothing has to reach it; or webhooks")
        pull = self._settle(
            "--events", options.events, "events by", answers.read_way, "pull", menu=["pull", "webhooks"]
        )
        bot = self._settle(
            "--bot", options.bot, "the account that people mention or assign", answers.read_login, "mosaic"
        )
        token = self._token(kind, needed=bool(pull))
        self._add_webhook_secret(kind)
        return ForgeAnswer(kind, bot or "mosaic", api, token, bool(pull and token))

    def _add_webhook_secret(self, kind: ForgeKind) -> None:
        """Keep a secret for webhooks: also where the forge is asked, since a webhook may be added later."""
        if self._secret(kind.secret_name, "", generated=True) is None:
            self._variables[kind.secret_name] = secrets.token_hex(32)

    def _token(self, kind: ForgeKind, *, needed: bool) -> str | None:
        self._say(f"   a token of that account, with: {kind.token_rights} (docs/forges.md)")
        if needed or kind.token_name in os.environ:
            token = self._secret(kind.token_name, "it is not shown")
            if token is None and self._options.events == "pull":
                raise InvalidAnswer(f"pull needs a token of the bot's account: set {kind.token_name}")
            return token
        return self._secret(kind.token_name, "it is not shown; empty for none", optional=True)

    def _repositories(self, forge: ForgeAnswer | None) -> tuple[tuple[str, ...], str | None]:
        options = self._options
        self._say("", "2. Which repositories may jobs work on? owner/name, or owner/* for all of an owner")
        given = " ".join(options.repository) if options.repository else None
        patterns = self._settle("--repository", given, "repositories", answers.read_repositories)
        if not patterns:
            _need_no(options, "--repository", "clone")
            return (), None
        default = None
        if forge is not None and forge.token:
            default = _clone_url(forge)
        clone = self._settle(
            "--clone", options.clone, "cloned from", lambda text: answers.read_clone(text, patterns, forge), default
        )
        if clone is None:
            raise InvalidAnswer("--repository needs --clone here: a path like /srv/git/{name}.git")
        return patterns, clone

    def _agent(self) -> Agent | None:
        names = [each.agent.name for each in self._found]
        self._say("", "3. Which agent does the work?", *_agent_menu(self._found))
        agent = self._settle(
            "--agent", self._options.agent, "agent",
            lambda text: answers.read_agent(text, self._found), names[0] if names else None, menu=[*names, GATEWAY],
            own=True,
        )  # fmt: skip
        if isinstance(agent, Gateway):
            gateway = self._settle("--gateway", self._options.gateway, "its URL", answers.read_gateway, agent.url)
            if self._secret(GATEWAY_TOKEN, "it is not shown") is None:
                raise InvalidAnswer(f"--agent {GATEWAY} needs the token of the gateway: set {GATEWAY_TOKEN}")
            return gateway or agent
        _need_no(self._options, f"--agent {GATEWAY}", "gateway")
        if agent is not None and not isinstance(agent, CommandAgent):
            self._secret(agent.agent.key, "the key of its model, not shown; empty to add it later", optional=True)
        return agent

    def _allowed(self, forge: ForgeAnswer | None) -> Allowed | None:
        if forge is None:
            return None
        words, default = "logins", None
        if forge.token:
            words, default = "logins, or permission:write for whoever may push", "permission:write"
        elif not forge.kind.is_forge:
            words, default = "logins, or source for all that the bot signs", "source"
        self._say("", f"4. Who may start jobs? {words}; nobody else may")
        given = " ".join(self._options.allow) if self._options.allow else None
        return self._settle(
            "--allow", given, "allowed", lambda text: answers.read_allowed(text, forge), default, own=True
        )

    def _secret(self, name: str, question: str, *, optional: bool = False, generated: bool = False) -> str | None:
        """Return the value of a variable, from our environment or an answer, and keep it for the environment file."""
        value = None
        if os.environ.get(name):
            value = self._settle(name, os.environ[name], "", answers.read_secret)
            self._say(f"   {name} is set here: it is taken over")
        elif generated:
            return None
        elif optional:
            value = self._settle(name, None, f"{name} ({question})", _read_optional, "", secret=True)
        else:
            value = self._settle(name, None, f"{name} ({question})", answers.read_secret, secret=True)
        if value:
            self._variables[name] = value
        return value or None

    def _settle(
        self,
        flag: str,
        given: str | None,
        question: str,
        read: Callable[[str], T],
        default: str | None = None,
        *,
        menu: Sequence[str] = (),
        secret: bool = False,
        own: bool = False,
    ) -> T | None:
        """Return what was given, or is answered; `menu` has what numbers stand for.

        One of the four questions of its `own` may be left for later if it has no default, and its default is only
        proposed: where nothing is asked, the shipped file stays as it is.
        """
        if given is not None:
            try:
                return read(given)
            except InvalidAnswer as error:
                raise InvalidAnswer(f"{flag}: {error}") from None
        if self._terminal is None:
            return read(default) if default is not None and not own else None
        while True:
            text = self._terminal.prompt(f"   {question}{f' [{default}]' if default else ''}: ", secret=secret)
            text = text or default or ""
            if own and not text:
                return None
            if text.isdecimal() and 0 < int(text) <= len(menu):
                text = menu[int(text) - 1]
            try:
                return read(text)
            except InvalidAnswer as error:
                self._say(f"   {error}")

    def _say(self, *lines: str) -> None:
        if self._terminal is not None:
            for line in lines:
                self._terminal.note(line)


def _read_optional(text: str) -> str:
    return answers.read_secret(text) if text else ""


def _need_no(options: Namespace, needed: str, *names: str) -> None:
    """Raise InvalidAnswer if one of these flags was given without what it needs."""
    for name in names:
        if getattr(options, name):
            raise InvalidAnswer(f"--{name} needs {needed}")


def _clone_url(forge: ForgeAnswer) -> str:
    """Return where repositories of a forge are cloned from, which is on the host of its API."""
    if forge.api == FORGES["github"].api:
        return "https://github.com/{owner}/{name}.git"
    return f"{(forge.api or '').removesuffix(forge.kind.api_path)}/{{owner}}/{{name}}.git"


def _menu(kinds: dict[str, ForgeKind]) -> list[str]:
    return [f"   {number}  {name:8} {kind.about}" for number, (name, kind) in enumerate(kinds.items(), start=1)]


def _agent_menu(found: Sequence[FoundAgent]) -> list[str]:
    lines = [f"{each.agent.name:16} {each.program}" for each in found]
    lines.append(f"{GATEWAY:16} an OpenClaw gateway")
    numbered = [f"   {number}  {line}" for number, line in enumerate(lines, start=1)]
    later = "" if found else "; nothing, to enter one later"
    return [*numbered, f"   or a command, which reads the prompt from standard input and works in the checkout{later}"]
