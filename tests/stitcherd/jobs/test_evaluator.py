"""Evaluations with the settings and the facts of a daemon."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from multidict import CIMultiDict

from shared.deliveries import Delivery
from shared.models import Verdict
from stitcherd.config.load import load_settings
from stitcherd.config.settings import Settings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.jobs.evaluator import Evaluator, SourceGone, configured_facts, is_form
from stitcherd.rails.decide import DispatchRequest, UnknownJobType
from stitcherd.rails.load import parse_rails
from stitcherd.sources import NotJson, WrongShape
from tests.stitcherd.jobs.intake_harness import IntakeHarness
from tests.stitcherd.rails.contexts import SMALL

SETTINGS = """
[sources.forge]
kind = "github"
secrets = [{file = "secret"}]
[repositories."acme/*"]
clone = "/nowhere/{name}.git"
[repositories."far/*"]
clone = "https://forge.example/{name}.git"
[repositories."lab/*"]
clone = "/nowhere/{name}.git"
workspace = "lab"
[executors.smith]
kind = "command"
argv = ["true"]
"""
HEADERS = CIMultiDict({"X-GitHub-Event": "issue_comment", "Content-Type": "application/json"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "secret").touch(mode=0o600)
    (tmp_path / "secret").write_text("a secret of the forge")
    (tmp_path / "stitcherd.toml").write_text(SETTINGS)
    return load_settings(tmp_path, SUPPORTED_KINDS)


def comment(repository: str = "acme/roof") -> bytes:
    user = {"login": "ann"}
    document = {
        "action": "created",
        "issue": {"number": 1, "title": "It leaks", "user": user},
        "comment": {"body": "@mosaic mend", "user": user},
        "repository": {"full_name": repository},
        "sender": user,
    }
    return json.dumps(document).encode()


def evaluate(settings: Settings, body: bytes) -> tuple[Verdict, str, str | None]:
    source = settings.sources["forge"]
    trigger, evaluation = Evaluator(settings).evaluate(source, HEADERS, body, form=False, rails=parse_rails(SMALL))
    return evaluation.decision.verdict, evaluation.decision.reason, trigger.repository


def test_a_delivery_is_evaluated_under_the_given_rails(settings: Settings) -> None:
    assert evaluate(settings, comment())[::2] == (Verdict.ALLOWED, "acme/roof")
    source = settings.sources["forge"]
    _, evaluation = Evaluator(settings).evaluate(source, HEADERS, comment(), form=False, rails=None)
    assert (evaluation.decision.verdict, evaluation.job) == (Verdict.IGNORED, None)


@pytest.mark.parametrize(
    ("repository", "reason"),
    [
        ("other/roof", "other/roof matches no [repositories] entry of stitcherd.toml"),
        ("lab/roof", "lab/roof does not belong to workspace default"),
        ("far/roof", "clone of far/roof is a URL, and no source of workspace default has api and token for"),
    ],
)
def test_a_repository_that_the_settings_do_not_allow_is_denied(
    settings: Settings, repository: str, reason: str
) -> None:
    verdict, given, _ = evaluate(settings, comment(repository))
    assert verdict is Verdict.DENIED
    assert reason in given


@pytest.mark.parametrize(("body", "error"), [(b"{", NotJson), (b'{"action": []}', WrongShape)])
def test_a_body_that_cannot_be_read_is_an_error(settings: Settings, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        evaluate(settings, body)


async def test_a_stored_delivery_is_evaluated_again_only_by_its_own_source(harness: IntakeHarness) -> None:
    answer = await harness.mosaic()
    delivery = await harness.delivery(answer)
    body = json.dumps({"issueNumber": "7", "repository": "acme/roof", "action": "commented"}).encode()
    evaluator, rails = Evaluator(harness.settings), harness.rails.current
    source, trigger, _ = evaluator.reevaluate(delivery, body, rails)
    assert (source.name, trigger.repository) == ("mosaic", "acme/roof")
    others: list[Delivery] = [
        replace(delivery, source="gone"),
        replace(delivery, kind="github"),
        replace(delivery, workspace_id="lab"),
    ]
    for other in others:
        with pytest.raises(SourceGone, match=r"no longer in stitcherd\.toml"):
            evaluator.reevaluate(other, body, rails)


def test_a_dispatch_is_evaluated_without_triggers(settings: Settings) -> None:
    evaluator, rails = Evaluator(settings), parse_rails(SMALL)
    evaluation = evaluator.evaluate_dispatch(DispatchRequest("mend", "uid:0"), "acme/roof", "default", rails)
    assert evaluation.decision.verdict is Verdict.ALLOWED
    denied = evaluator.evaluate_dispatch(DispatchRequest("mend", "uid:0"), "acme/roof", "lab", rails)
    assert (denied.decision.verdict, denied.job) == (Verdict.DENIED, None)
    with pytest.raises(UnknownJobType):
        evaluator.evaluate_dispatch(DispatchRequest("fly", "uid:0"), "acme/roof", "default", rails)


def test_facts_follow_from_the_settings(settings: Settings) -> None:
    facts = configured_facts(settings)
    assert set(facts.executors) == {"smith"}


def test_forms_are_recognized_by_their_content_type() -> None:
    assert is_form({"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"})
    assert not is_form({"Content-Type": "application/json"})
    assert not is_form({})
