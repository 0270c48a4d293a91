"""Events that no rails want are ignored whatever they lack; of those that are wanted, the malformed field is named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from shared.models import Verdict
from stitcherd.config.load import load_settings
from stitcherd.config.settings import Settings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.errors import Refusal
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.rails.load import parse_rails
from stitcherd.sources import KINDS, WrongShape
from tests.stitcherd.jobs.intake_harness import IntakeHarness
from tests.stitcherd.rails.contexts import SMALL
from tests.stitcherd.sources.payloads import delivery, edited

EVENT_HEADERS = {"github": "X-GitHub-Event", "gitea": "X-Gitea-Event", "gitlab": "X-Gitlab-Event"}
EVENTS = ("issues", "issue_comment", "pull_request", "push", "status", "star", "no-event_9", "Note Hook", "Member Hook")
COMMENTS = {"github": "issue_comment.created", "gitea": "issue_comment.created", "gitlab": "note.issue"}
NONE_WANTED = parse_rails(SMALL.partition("triggers:")[0])
COMMENTS_WANTED = parse_rails(SMALL)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=9)
    | st.sampled_from(["created", "open", "note", "push"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
FIELDS = (
    "action after changes comment event_name issue issueNumber labels metadata number object_attributes object_kind"
    " project pull_request ref repository sender user"
)
fields = st.sampled_from(FIELDS.split())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    place: Path = tmp_path_factory.mktemp("settings")
    (place / "secret").touch(mode=0o600)
    (place / "secret").write_text("a secret of all")
    tables = [f'[sources.{kind}]\nkind = "{kind}"\nsecrets = [{{file = "secret"}}]' for kind in KINDS]
    (place / "stitcherd.toml").write_text("\n".join([*tables, '[executors.smith]\nkind = "command"\nargv = ["true"]']))
    return load_settings(place, SUPPORTED_KINDS)


def headers(kind: str, event: str) -> CIMultiDict[str]:
    return CIMultiDict({EVENT_HEADERS[kind]: event} if kind in EVENT_HEADERS else {})


@pytest.mark.parametrize("kind", KINDS)
@given(body=values | st.dictionaries(fields, values), event=st.sampled_from(EVENTS))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_unwanted_body_is_refused(settings: Settings, kind: str, body: Any, event: str) -> None:
    source, text = settings.sources[kind], json.dumps(body).encode()
    for rails in (NONE_WANTED, None):
        _, evaluation = Evaluator(settings).evaluate(source, headers(kind, event), text, form=False, rails=rails)
        assert evaluation.decision.verdict is Verdict.IGNORED


@pytest.mark.parametrize("kind", KINDS)
@given(body=values | st.dictionaries(fields, values), event=st.sampled_from(EVENTS))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_malformed_body_starts_a_job(settings: Settings, kind: str, body: Any, event: str) -> None:
    source, text = settings.sources[kind], json.dumps(body).encode()
    try:
        _, evaluation = Evaluator(settings).evaluate(
            source, headers(kind, event), text, form=False, rails=COMMENTS_WANTED
        )
    except WrongShape as error:
        detail = str(error)
    else:
        detail = ""
        assert evaluation.job is None
    assert "regex" not in detail


@pytest.mark.parametrize(
    ("kind", "edits", "field"),
    [
        ("github", {"/issue": None}, "$.issue: missing"),
        ("github", {"/comment/body": 5}, "$.comment.body: expected"),
        ("github", {"/repository/full_name": "a/.."}, "$.repository.full_name: expected the name of a repository"),
        ("gitea", {"/issue/number": 0}, "$.issue.number: expected"),
        ("gitlab", {"/object_attributes": None}, "$.object_attributes: missing"),
        ("gitlab", {"/project/path_with_namespace": "../x"}, "$.project.path_with_namespace: expected the path"),
    ],
)
def test_a_wanted_comment_names_its_malformed_field(
    settings: Settings, kind: str, edits: Mapping[str, Any], field: str
) -> None:
    body = json.dumps(edited(kind, COMMENTS[kind], edits)).encode()
    event = headers(kind, "Note Hook" if kind == "gitlab" else "issue_comment")
    with pytest.raises(WrongShape) as caught:
        Evaluator(settings).evaluate(settings.sources[kind], event, body, form=False, rails=COMMENTS_WANTED)
    assert str(caught.value).startswith(field)
    _, evaluation = Evaluator(settings).evaluate(settings.sources[kind], event, body, form=False, rails=NONE_WANTED)
    assert evaluation.decision.verdict is Verdict.IGNORED


@pytest.mark.parametrize("kind", EVENT_HEADERS)
@pytest.mark.parametrize("login", ["a" * 101, "alice@example.org", "-octo", "", "../x"])
def test_a_wanted_comment_by_a_login_that_cannot_be_read_is_denied(settings: Settings, kind: str, login: str) -> None:
    pointers = {"gitlab": ["/user/username"]}.get(kind, ["/sender/login", "/comment/user/login"])
    text = {"gitlab": "/object_attributes/note"}.get(kind, "/comment/body")
    body = json.dumps(edited(kind, COMMENTS[kind], {text: "@mosaic mend", **dict.fromkeys(pointers, login)})).encode()
    event = headers(kind, "Note Hook" if kind == "gitlab" else "issue_comment")
    source = settings.sources[kind]
    trigger, evaluation = Evaluator(settings).evaluate(source, event, body, form=False, rails=COMMENTS_WANTED)
    assert (trigger.sender, evaluation.decision.verdict) == (None, Verdict.DENIED)
    seen = "has a login that cannot be read" if login else "is missing (deleted)"
    assert evaluation.decision.reason == f"who: the account that sent this, or wrote its text, {seen}"


@pytest.mark.parametrize("kind", EVENT_HEADERS)
def test_a_guard_denies_a_comment_on_a_closed_issue(settings: Settings, kind: str) -> None:
    guard = "guards: [{id: over, if: {closed: true}, then: deny, because: the thread is closed}]"
    rails = parse_rails(SMALL.replace("forge:ann", f"{kind}:hubot") + guard)
    text = {"gitlab": "/object_attributes/note"}.get(kind, "/comment/body")
    event = headers(kind, "Note Hook" if kind == "gitlab" else "issue_comment")
    reasons = []
    for state in ("open", "closed"):
        body = json.dumps(edited(kind, COMMENTS[kind], {text: "@mosaic mend", "/issue/state": state})).encode()
        _, evaluation = Evaluator(settings).evaluate(settings.sources[kind], event, body, form=False, rails=rails)
        reasons.append(evaluation.decision.reason)
    assert "octo-org/api matches no [repositories] entry" in reasons[0]
    assert reasons[1] == "guard over: the thread is closed"


async def test_an_unwanted_event_is_recorded_as_far_as_it_can_be_read(harness: IntakeHarness) -> None:
    body = delivery("github", "pull_request.opened")
    body["pull_request"] |= {"number": "x", "base": {"ref": "-x"}}
    answer = await harness.deliver("hub", json.dumps(body).encode(), {"X-GitHub-Event": "pull_request"})
    assert (answer.verdict, answer.reason) == (Verdict.IGNORED, "no trigger wants pull_request/opened")
    stored = await harness.delivery(answer)
    assert (stored.event, stored.action, stored.trigger) == ("pull_request", "opened", "change.opened")
    assert (stored.sender, stored.repository, stored.thread) == ("hub:octocat", "octo-org/api", None)


async def test_a_malformed_approval_is_refused_though_no_trigger_wants_it(harness: IntakeHarness) -> None:
    text = (harness.directory / "rails.yaml").read_text()
    (harness.directory / "rails.yaml").write_text(text.replace("issue.comment], command: fix", "issue.opened]"))
    await harness.rails.reload()
    answer = await harness.mosaic("@mosaic approve")
    assert answer.verdict is Verdict.IGNORED
    with pytest.raises(Refusal, match=r"^\$\.metadata\.labels: expected"):
        await harness.mosaic("@mosaic approve", metadata={"author": "ann", "labels": 5})
    malformed = await harness.mosaic("hello", metadata={"author": "ann", "labels": 5})
    assert malformed.verdict is Verdict.IGNORED
