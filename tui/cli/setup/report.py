"""What `stitcher init` says at its end: what the rails start, what the daemon answered, and what is left to do."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.environment_file import ENVIRONMENT_FILE
from shared.locations import config_dir
from shared.models import Verdict
from tui.cli.agents import FoundAgent
from tui.cli.doctor.settings import DEFAULT_LISTEN
from tui.cli.setup.answers import ForgeAnswer, SetupAnswers
from tui.cli.setup.first_delivery import FirstDelivery
from tui.cli.setup.first_start import FirstStart
from tui.cli.terminal import Terminal
from tui.client.listener import WEBHOOK_PATH
from tui.text.plain import plain


def say_agent(found: FoundAgent, terminal: Terminal) -> None:
    """Say how the rails start the agent that they name."""
    agent = found.agent
    terminal.note(
        f"the rails start {agent.name}, in a sandbox that has the network, where its model is (network: host),"
    )
    terminal.note(f"with the key in {agent.key}, from the environment of stitcherd (env)")
    if found.mounts:
        terminal.note(f"it sees, read-only: {plain(', '.join(found.mounts))} (mounts)")


def say_first_start(first: FirstStart, terminal: Terminal) -> None:
    """Say how to stop a daemon that was started, what it waits for, and what it answered to its first webhook."""
    if first.started:
        terminal.note(f"stitcherd runs; its log: {plain(first.started.log)}; to stop it: {first.started.stop}")
        for reason in first.started.waits_for:
            terminal.note(f"it is not ready: {reason}")
    if first.fault:
        terminal.note(f"stitcher: {first.fault}")
    if first.delivery:
        _say_delivery(first.delivery, terminal)


def _say_delivery(delivery: FirstDelivery, terminal: Terminal) -> None:
    reason, decision = plain(delivery.reason), delivery.decision
    terminal.note(f"test delivery, signed and without a command: {delivery.status} {delivery.verdict} ({reason})")
    who = plain(delivery.login) or "the bot"
    terminal.note(f"`{delivery.asked}` by {who} would be {decision.verdict.value} ({plain(decision.reason)})")
    if decision.verdict is not Verdict.ALLOWED and decision.remedy:
        terminal.note(f"to allow it: {plain(decision.remedy.text)}")


def say_next(
    config: Path, answers: SetupAnswers, found: Sequence[FoundAgent], terminal: Terminal, *, runs: bool
) -> None:
    """Say what is left to do."""
    if not answers.given:
        missing = "sources and repositories" if found else "sources, repositories and agent"
        terminal.note(f"next: enter your {missing} in stitcherd.toml, and yourself in rails.yaml;")
    for sentence in _left_to_do(config, answers, found):
        terminal.note(f"next: {sentence}")
    place = "" if config == config_dir(None) else f" --config {plain(shlex.quote(str(config)))}"
    commands = [f"`stitcherd{place} --check`", f"`stitcher{place} doctor`", f"and `stitcherd{place}`"]
    terminal.note(f"then run {commands[1] if runs else ', '.join(commands)}")


def _left_to_do(config: Path, answers: SetupAnswers, found: Sequence[FoundAgent]) -> Iterator[str]:
    if not answers.given:
        return
    forge, agent = answers.forge, answers.agent
    if forge is None:
        yield "enter a source in stitcherd.toml: where the comments come from"
    elif forge.kind.is_forge:
        yield from _left_at_forge(config, forge, answers)
    if not answers.repositories:
        yield "enter your repositories in stitcherd.toml"
    if agent is None and not found:
        yield "enter your agent in stitcherd.toml"
    if isinstance(agent, FoundAgent) and agent.agent.key not in answers.variables:
        yield f"write {agent.agent.key} into {plain(str(config / ENVIRONMENT_FILE))}"
    if answers.allowed is None:
        yield "enter yourself in rails.yaml: nobody may start a job yet"


def _left_at_forge(config: Path, forge: ForgeAnswer, answers: SetupAnswers) -> Iterator[str]:
    kind = forge.kind
    if not forge.token:
        yield f"without {kind.token_name} nothing is pushed to the forge, or said there"
    if not forge.pull:
        url, secret = f"https://YOUR-NAME{WEBHOOK_PATH}/{kind.name}", plain(str(config / ENVIRONMENT_FILE))
        yield f"route a host name to {answers.listen or DEFAULT_LISTEN}, and enter it in http.hosts"
        yield f"add a webhook at the forge, with the URL {url} and the secret {kind.secret_name} in {secret}"
