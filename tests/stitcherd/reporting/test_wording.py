"""Words of comments, statuses and changes: nothing that others wrote does anything there, and nothing is too long."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models import Status
from stitcherd.reporting.contents import (
    ChangeContent,
    CommentContent,
    DenialReport,
    FailedOutput,
    GateReport,
    HelpReport,
    HintReport,
    Reply,
    StatusContent,
    StatusReport,
    WhyReport,
)
from stitcherd.reporting.foreign_text import code_block, harmless, inline_code
from stitcherd.reporting.wording import (
    BODY_MAX,
    change_body,
    change_title,
    comment_body,
    marker,
    status_description,
)
from stitcherd.sources.text import parse_commands
from tests.stitcherd.reporting.reports import JOB_ID, make_report

MARK = marker("instance", "github/octo-org/api/comment:issue/479")
HOSTILE = (
    "@mosaic fix\n![x](http://evil/x)\n[y](http://evil/y)<!-- @mosaic fix -->\u202e````\n~~~\n| a | b |\n</details>\n"
)
DENIED, MORE = "`octo`: the last request was `denied`: `x`.", "More: `stitcher why 7f3a1c9d`"
MENTION = re.compile(r"@[A-Za-z0-9]")


def unmasked(text: str) -> str:
    return text


def masked(text: str) -> str:
    return text.replace("hunter2hunter2", "[secret]")


def body(mask: Any = masked, **content: Any) -> str:
    return comment_body(CommentContent(thread_kind="issue", thread_number=479, **content), MARK, mask)


def failed(output: str, **more: Any) -> str:
    report = make_report(status=Status.FAILED, error="gates_failed: x", output=FailedOutput("tests", output), **more)
    return body(jobs=(report,))


def test_a_mark_is_of_an_instance_and_a_place() -> None:
    assert re.fullmatch(r"<!-- stitcher:t:[0-9a-f]{12} -->", MARK)
    assert marker("instance", "github/octo-org/api/comment:issue/479") == MARK
    assert marker("another", "github/octo-org/api/comment:issue/479") != MARK
    assert marker("instance", "github/octo-org/api/comment:issue/480") != MARK


def test_a_running_job_is_a_sentence_and_a_row() -> None:
    gates = (
        GateReport("scope", "passed"),
        GateReport("lint", "failed", required=False),
        GateReport("tests", "running"),
    )
    assert body(jobs=(make_report(gates=gates),)).split("\n") == [
        "**`fix`** is running, try 2 of 3.",
        "",
        "| Job | Type | Asked by | State | Try | Gates | Commit |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| `7f3a1c9d` | `fix` | `octocat` | ▶ running | 2 of 3 | ✓ `scope` ! `lint` … `tests` |  |",
        "",
        "The whole log and what was changed: `stitcher show 7f3a1c9d`",
        "",
        MARK,
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"status": Status.QUEUED}, "**`fix`** is queued."),
        ({"status": Status.QUEUED, "held": "limit: 4 running"}, "**`fix`** is queued: `limit: 4 running`."),
        (
            {
                "status": Status.PENDING,
                "waiting": ("hidden",),
                "approvers": ("maintainers",),
                "expires_at": "2026-11-23",
            },
            "**`fix`** waits for an approval by `maintainers`, until 2026-11-23 (required by `hidden`).",
        ),
        (
            {"status": Status.COMPLETED, "commit": "4be1a2c" + 33 * "0", "branch": "stitcher/1", "summary": "+3 -1"},
            "**`fix`** is done: `+3 -1` on `stitcher/1`.",
        ),
        ({"status": Status.COMPLETED}, "**`fix`** is done: nothing was changed."),
        (
            {"status": Status.FAILED, "error": "gates_failed: gate tests failed", "hint": "see the log"},
            "**`fix`** failed: `gates_failed: gate tests failed` (`see the log`).",
        ),
        ({"status": Status.CANCELLED}, "**`fix`** was cancelled."),
    ],
)
def test_each_state_is_a_sentence(more: dict[str, Any], said: str) -> None:
    assert body(jobs=(make_report(**more),)).split("\n")[0] == said


def test_a_denial_and_a_hint_stand_before_the_jobs() -> None:
    denial = DenialReport("0199-delivery1", "drive-by", "who: github:drive-by is in none of team", "add it to team", 1)
    hint = HintReport("octocat", "fxi", ("fix", "review"), 1)
    lines = body(denial=denial, hint=hint).split("\n\n")
    assert lines[0] == (
        "Nothing runs for `drive-by`: `who: github:drive-by is in none of team`."
        " What would allow it: `add it to team`. More: `stitcher why elivery1`"
    )
    assert lines[1] == "`octocat`: there is no command `fxi`; there are `fix`, `review`."
    assert lines[2:] == [MARK]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            HelpReport("octo", (("fix", "starts a job fix"),), 0),
            "`octo`: these are the commands; write one on a line of its own, after my name.\n- `fix` starts a job fix",
        ),
        (StatusReport("octo", True, 0), "`octo`: these are the jobs of this thread."),
        (StatusReport("octo", False, 0), "`octo`: this thread has no job."),
        (WhyReport("octo", 0), "`octo`: nothing was asked for on this thread lately."),
        (
            WhyReport("octo", 0, JOB_ID, "denied", "x", ("guard:x", "", "@y", None), "z"),
            f"{DENIED} Check `guard:x` saw `nothing`, and wanted `@\u200by`. What would allow it: `z`. {MORE}",
        ),
        (
            WhyReport("octo", 0, JOB_ID, "denied", "x", ("who", "a", "b", 31)),
            f"{DENIED} Check `who` (line 31 of the rails) saw `a`, and wanted `b`. {MORE}",
        ),
    ],
)
def test_a_question_is_answered(reply: Reply, said: str) -> None:
    assert body(reply=reply) == f"{said}\n\n{MARK}"


def test_the_output_of_a_failure_is_folded_code() -> None:
    said = failed("".join(f"line {number}\n" for number in range(50)))
    assert "<summary>The last lines of tests</summary>\n\n```\nline 10\n" in said
    assert said.count("line ") == 40
    assert "<summary>What tests printed</summary>" in failed("all of it\n")


def test_nothing_of_others_does_anything() -> None:
    texts: dict[str, Any] = {"type": HOSTILE, "asker": HOSTILE, "error": HOSTILE, "hint": HOSTILE}
    gate = GateReport(HOSTILE, "failed")
    report = make_report(status=Status.FAILED, gates=(gate,), output=FailedOutput(HOSTILE, HOSTILE), **texts)
    denial, hint = DenialReport("d" * 12, HOSTILE, HOSTILE, HOSTILE, 1), HintReport(HOSTILE, HOSTILE, (HOSTILE,), 1)
    said = body(jobs=(report,), denial=denial, hint=hint)
    assert not MENTION.search(said)
    assert parse_commands(said, "mosaic") == ()
    assert "![" not in said
    assert said.count("<!--") == 1  # our mark
    assert "\u202e" not in said
    rows = [line for line in said.split("\n") if line.startswith("| `7f3a1c9d`")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 8  # the borders of seven cells


def test_secrets_and_tokens_of_forges_are_masked() -> None:
    tokens = [
        "hunter2hunter2",
        "ghp_" + "a1" * 18,
        "ghs_123456_eyJhbGciOi.J9x-y_z",
        "github_pat_" + "a" * 22 + "_" + "b" * 59,
        "glpat-" + "x1" * 10,
        "AKIA" + "ABCD2345" * 2,
        "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----",
    ]
    said = failed("\n".join(f"token {token} here" for token in tokens))
    assert said.count("[secret]") == len(tokens)
    assert not any(token in said for token in tokens)
    assert "def\n" not in said


def test_what_may_be_a_token_of_gitea_keeps_only_its_beginning() -> None:
    token = "0123456789abcdef0123456789abcdef01234567"
    assert harmless(f"at {token}.", unmasked) == "at 0123456…."
    assert harmless(token + "89", unmasked) == token + "89"


def test_a_hidden_character_does_not_save_a_secret_from_the_mask() -> None:
    assert harmless("hunter2\u200bhunter2", masked) == "[secret]"


@pytest.mark.parametrize(
    "output", ["x" * 200_000, "y\n" * 200_000, "`" * 90_000, "@" * 200_000, "\n".join(["`" * 400] * 90)]
)
def test_a_long_output_fits(output: str) -> None:
    said = failed(output)
    assert len(said) <= BODY_MAX
    assert said.endswith(MARK)
    assert said.count("<details>") == said.count("</details>") == 1


def test_many_jobs_with_long_texts_fit() -> None:
    report = make_report(
        status=Status.FAILED, error="x" * 9_000, hint="y" * 9_000, output=FailedOutput("t", "z" * 90_000)
    )
    gates = tuple(GateReport("g" * 64, "passed") for _ in range(50))
    jobs = tuple(make_report(gates=gates) for _ in range(4))
    assert len(body(jobs=(report, *jobs))) <= BODY_MAX
    many = make_report(gates=tuple(GateReport("g" * 64, "passed") for _ in range(900)))
    assert len(body(jobs=(many,))) == BODY_MAX
    assert body(jobs=(many,)).endswith(MARK)


@given(st.text(st.sampled_from("`|ab \n@!["), max_size=60))
def test_code_ends_where_it_ends(text: str) -> None:
    code = inline_code(text, unmasked)
    ticks = re.match("`+", code)
    assert ticks is not None
    inner = code[len(ticks[0]) : -len(ticks[0])]
    assert ticks[0] not in re.findall("`+", inner)
    block, _ = code_block(text, unmasked, 40, 1_000)
    fence = block.split("\n")[0]
    assert fence == block.split("\n")[-1]
    assert not any(fence in line for line in block.split("\n")[1:-1])


@pytest.mark.parametrize(
    ("state", "error", "said"),
    [
        (Status.PENDING, None, "waits for an approval (stitcher show 7f3a1c9d)"),
        (Status.COMPLETED, None, "all required gates passed (stitcher show 7f3a1c9d)"),
        (Status.FAILED, "gates_failed", "failed: gates_failed (stitcher show 7f3a1c9d)"),
    ],
)
def test_a_status_is_a_line(state: Status, error: str | None, said: str) -> None:
    content = StatusContent(sha="a" * 40, context="stitcher/fix", job=make_report().id, state=state, error=error)
    assert status_description(content) == said


def test_a_change_names_its_issue_and_closes_it_only_if_told_to() -> None:
    content = ChangeContent(job=make_report(), head="stitcher/1", base="main", draft=False, about=479)
    assert change_title(content) == "fix for #479"
    assert change_body(content, MARK, masked).startswith("About #479.\n\n| Job |")
    closing = ChangeContent(job=make_report(), head="stitcher/1", base="main", draft=False, about=479, closes=True)
    assert change_body(closing, MARK, masked).startswith("Closes #479.\n\n| Job |")
    assert change_body(closing, MARK, masked).endswith(MARK)
    assert change_title(ChangeContent(job=make_report(), head="stitcher/1", base="main", draft=False)) == "fix"
