"""The section report: what is reported of which jobs, to whom denials are explained, and what has no effect."""

from collections.abc import Callable

import pytest

from stitcherd.rails.compiled import CompiledRails, ReportRules
from stitcherd.rails.load import RailsError, parse_rails
from stitcherd.rails.report import commands_of, is_informed, report_of, report_without_job
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.rails.contexts import CONTEXT

TEXT = """\
version: 1
people:
  crew: {users: ["forge:ann"]}
  chiefs: {users: ["forge:cleo#7"]}
profiles:
  quiet: {capabilities: [repo:read], executor: smith, sandbox: none}
  loud: {capabilities: [repo:read, issue:comment, status:set, change:open], executor: smith, sandbox: none}
jobs:
  look: {profile: quiet}
  mend: {profile: loud}
triggers:
  - {id: look, on: [issue.comment], command: look, from: [crew], job: look}
  - {id: mend, on: [issue.comment], command: mend, from: [crew], job: mend}
report:
  acknowledge: reaction
  thread: single-comment
  status: "stitcher/{job}"
  change: draft
  explain_denials_to: [crew, chiefs]
"""
NOTHING = "has no effect: no profile of a job has the capability"


@pytest.fixture
def rails() -> CompiledRails:
    return parse_rails(TEXT, CONTEXT)


def test_what_the_rails_report_needs_a_capability_of_the_profile(rails: CompiledRails) -> None:
    full = report_of(rails, rails.jobs["mend"])
    assert (full.acknowledge, full.comment, full.status, full.change) == (True, True, "stitcher/{job}", "draft")
    assert [group.name for group in full.explain_denials_to] == ["crew", "chiefs"]
    assert report_of(rails, rails.jobs["look"]) == ReportRules()


def test_a_denied_delivery_is_reported_as_its_job_would_have_been(rails: CompiledRails) -> None:
    assert report_without_job(rails, "mend").comment
    assert report_without_job(rails, "look") == ReportRules()
    assert report_without_job(rails, None).comment
    assert report_without_job(rails, "removed") == ReportRules()


@pytest.mark.parametrize(
    ("sender", "ids", "kept", "informed"),
    [
        ("forge:ann", {}, {}, True),
        ("forge:eve", {}, {}, False),
        ("other:ann", {}, {}, False),
        (None, {}, {}, False),
        ("forge:cleo", {"forge:cleo": ("7",)}, {}, True),
        ("forge:cleo", {"forge:cleo": ("8",)}, {}, False),
        ("forge:ann", {"forge:ann": ("8",)}, {"forge:ann": "7"}, False),
    ],
)
def test_only_members_are_informed(
    rails: CompiledRails,
    comment: Callable[..., Trigger],
    sender: str | None,
    ids: dict[str, tuple[str, ...]],
    kept: dict[str, str],
    informed: bool,
) -> None:
    trigger = comment(sender=sender, author=sender, account_ids=ids)
    assert is_informed(rails.report, trigger, rails, kept) is informed


def test_the_verbs_are_those_of_the_event(rails: CompiledRails) -> None:
    assert commands_of(rails, "issue.comment") == ("look", "mend")
    assert commands_of(rails, "push") == ()


def test_a_key_that_no_profile_may_do_is_warned_of() -> None:
    text = TEXT.replace(", issue:comment, status:set, change:open", "")
    found = [(each.line, each.column, each.message) for each in parse_rails(text, CONTEXT).warnings]
    assert found == [
        (15, 3, f"acknowledge {NOTHING} issue:comment"),
        (16, 3, f"thread {NOTHING} issue:comment"),
        (17, 3, f"status {NOTHING} status:set"),
        (18, 3, f"change {NOTHING} change:open"),
    ]


def test_explanations_need_the_comment() -> None:
    (warning,) = parse_rails(TEXT.replace("  thread: single-comment\n", ""), CONTEXT).warnings
    assert warning.message == "explain_denials_to has no effect without thread: single-comment"


def test_a_source_without_api_is_warned_of() -> None:
    context = CONTEXT._replace(silent_sources=("forge", "other"))
    (warning,) = parse_rails(TEXT, context).warnings
    message = "nothing is reported for source forge, other: stitcherd.toml gives it no api with a token"
    assert (warning.line, warning.message) == (14, message)
    assert parse_rails(TEXT[: TEXT.index("report:")], context).warnings == ()


@pytest.mark.parametrize("name", ["stitcher/{jbo}", "{", "{job", "a\\tb", ""])
def test_the_name_of_a_status_has_no_other_variable(name: str) -> None:
    with pytest.raises(RailsError):
        parse_rails(TEXT.replace("stitcher/{job}", name), CONTEXT)
