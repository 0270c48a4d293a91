"""`stitcher` on a pseudo-terminal with a real daemon: approvals, a pause, and a change of the rails."""

import shutil
from collections.abc import Iterator

import pytest

from shared.locations import RAILS_FILE
from tests.e2e.test_screens import Terminal
from tui.cli import daemon_process
from tui.cli.demo import webhooks
from tui.cli.demo.environment import DemoEnvironment, build_environment, create_directory, daemon_environment

GUARD = """
guards:
  - id: outsider-text
    if: {author_of: [issue], not_in: [chiefs]}
    then: require-approval
    by: [chiefs]
    because: the text was written by an outsider
"""


@pytest.fixture
def stage() -> Iterator[DemoEnvironment]:
    """A daemon whose rails trust no text."""
    root = create_directory()
    stage = build_environment(root)
    rails = stage.config / RAILS_FILE
    chiefs = 'people:\n  chiefs: {users: ["github:linus"]}\n'
    rails.write_text(rails.read_text("utf-8").replace("people:\n", chiefs) + GUARD, "utf-8")
    process = daemon_process.start(stage.config, stage.log, daemon_environment())
    daemon_process.wait_until_ready("127.0.0.1", stage.port, process)
    yield stage
    daemon_process.stop(process)
    shutil.rmtree(root)


def test_a_waiting_job_is_approved_and_new_rails_show_their_effect(stage: DemoEnvironment) -> None:
    argv = ["--socket", str(stage.socket), "--config", str(stage.config)]
    terminal = Terminal(argv, (160, 40))  # as wide as the longest notice
    try:
        terminal.until(lambda text: "queue 0" in text.splitlines()[0])
        webhooks.send_comment(stage, webhooks.IssueComment(7, "Pages end early", "octocat", "@mosaic fix"))
        webhooks.send_comment(stage, webhooks.IssueComment(8, "And late", "octocat", "@mosaic fix"))
        terminal.until(lambda text: "waits for you" in text and "3 Waiting for you 2" in text)
        terminal.press("2")  # a tab without jobs, so that rows are those of the next tab
        terminal.until(lambda text: "octo-org/api#7" not in text)
        terminal.press("3")
        terminal.until(lambda text: "23h left · outsider-text, by chiefs" in text and " TRY " not in text)
        _answer(terminal)
        _pause(terminal)
        _change_rails(terminal, stage)
    finally:
        code = terminal.end()
    assert code == 0


def _answer(terminal: Terminal) -> None:
    terminal.press("a")
    terminal.until(lambda text: "Approve 1 job?" in text and "octo-org/api#8" in text)
    terminal.press("y")
    terminal.until(lambda text: "1 of 2" in text)
    terminal.press("d")
    terminal.until(lambda text: "Deny 1 job?" in text)
    terminal.press("y")
    terminal.until(lambda text: "enter yes, with a reason" in text)
    terminal.press("not today\r")
    terminal.until(lambda text: "nothing waits for you" in text)
    terminal.press("1")
    terminal.until(lambda text: "✓ completed" in text and "⊘ cancelled" in text)


def _pause(terminal: Terminal) -> None:
    terminal.press("P")
    terminal.until(lambda text: "Let no new jobs start?" in text)
    terminal.press("\t")
    terminal.until(lambda text: "enter yes" in text)
    terminal.press("lunch\r")
    terminal.until(lambda text: "‖ paused" in text.splitlines()[0])
    terminal.press("P")
    terminal.until(lambda text: "Let jobs start again?" in text and "lunch" in text)
    terminal.press("y")
    terminal.until(lambda text: "‖ paused" not in text.splitlines()[0])


def _change_rails(terminal: Terminal, stage: DemoEnvironment) -> None:
    rails = stage.config / RAILS_FILE
    text = rails.read_text("utf-8")
    rails.write_text(text.replace("then: require-approval", "then: requireapproval"), "utf-8")
    terminal.until(lambda text: "▲ rails.yaml:" in text and "kept r-" in text)
    terminal.press("R")
    terminal.until(lambda text: "then: requireapproval" in text)
    rails.write_text(text.replace("linus", "octocat"), "utf-8")
    terminal.until(lambda text: "Changes 1" in text and "▲" not in text)
    terminal.press("\x1b")
    terminal.until(lambda text: "1 rule changed · of the last 2 deliveries: 2 newly allowed" in text)
    terminal.press("m")
    terminal.until(lambda text: "waiting → allowed" in text and "ALLOWED" in text)
