"""Completion candidates, from the parsers and from the daemon."""

from argparse import _SubParsersAction

import pytest

from tests.tui.cli.examine import Complete
from tests.tui.fake_api import FakeApi
from tui.cli.completion.candidates import complete
from tui.cli.completion.scripts import SCRIPTS
from tui.cli.parser import VerbParser, build_parser
from tui.cli.verbs import VERBS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["canc"], ["cancel"]),
        (["--js"], ["--json"]),
        (["--socket", "/x", "--json", "retr"], ["retry"]),
        (["wait", "--"], ["--help", "--socket", "--config", "--json", "--timeout"]),
        (["wait", "--timeout", ""], []),
        (["ls", "--status", "c"], ["completed", "cancelled"]),
        (["ls", "--status=ca"], ["--status=cancelled"]),
        (["ls", "state:f"], ["state:failed"]),
        (["ls", "x", "-state:failed,q"], ["-state:failed,queued"]),
        (["ls", "type:fix state:o", "is:st"], ["is:stuck"]),
        (["cancel", "--filter", "state:failed is:o"], ["state:failed is:open", "state:failed is:over"]),
        (["ls", "-ga"], ["-gate:"]),
        (["ls", "--", "--"], []),
        (["ls", "repo:"], ["repo:octo-org/api"]),
        (["ls", "type:"], ["type:fix"]),
        (["dispatch", "--repo", ""], ["octo-org/api"]),
        (["dispatch", ""], ["fix", "triage"]),
        (["dispatch", "fix", "--re"], ["--repo", "--ref"]),
        (["show", "7f"], ["7f3a1c9d"]),
        (["show", "7f3a1c9d", "--d"], ["--diff"]),
        (["why", ""], ["7f3a1c9d", "01", "7f3a1c02"]),
        (["deliveries", "re"], ["replay"]),
        (["deliveries", "replay", "--dry-run", ""], ["7f3a1c02"]),
        (["deliveries", "ls", "--source", ""], ["github"]),
        (["deliveries", "ls", "--verdict", "al"], ["allowed"]),
        (["token", "new", "ci", "--permission", "jobs:w"], ["jobs:write"]),
        (["completion", ""], list(SCRIPTS)),
        (["nonsense", ""], []),
    ],
)
def test_candidates(completion: Complete, line: list[str], words: list[str]) -> None:
    assert completion(*line) == words


def test_every_verb_is_offered_with_its_options(completion: Complete) -> None:
    assert completion("") == list(VERBS)
    parsers = next(action for action in build_parser()._actions if isinstance(action, _SubParsersAction)).choices
    for verb, parser in parsers.items():
        assert isinstance(parser, VerbParser)
        parser.load_arguments()
        shown = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
        assert set(completion(verb, "--")) == shown - {"--words"}


@pytest.mark.parametrize(
    ("verb", "statuses"), [("retry", "status=FAILED&status=CANCELLED"), ("approve", "status=PENDING"), ("show", "")]
)
def test_jobs_are_limited_to_relevant_statuses(completion: Complete, api: FakeApi, verb: str, statuses: str) -> None:
    completion(verb, "")
    assert api.requests == [(f"GET /runner-jobs?{statuses}{'&' * bool(statuses)}limit=100", None)]


@pytest.mark.parametrize(
    ("line", "kind"),
    [(["rails", "check", "x"], "files"), (["--config", ""], "directories"), (["bundle", "j", "-o", ""], "files")],
)
def test_files_are_left_to_the_shell(line: list[str], kind: str) -> None:
    assert complete(line, None).kind == kind
