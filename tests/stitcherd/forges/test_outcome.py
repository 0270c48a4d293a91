"""What each response means for what was wanted."""

from typing import Any

import pytest

from stitcherd.forges import FORGES
from stitcherd.forges.base import Call, RequestFailed, Response
from stitcherd.forges.models import (
    AccessLevel,
    CommitState,
    CommitStatus,
    ForgeAccount,
    NewChange,
    RepositoryRef,
    ThreadRef,
)
from stitcherd.forges.outcome import (
    CREDENTIAL_CHECK,
    Done,
    Hold,
    Outcome,
    Rejected,
    RetryAt,
    outcome_of,
    retry_delay,
)
from stitcherd.forges.rate_limit import RequestLimit
from tests.stitcherd.forges.responses import response

NOW = 1_795_000_000_000
GITHUB = FORGES["github"]
REPOSITORY = RepositoryRef("octo-org/api", "7")
ISSUE = ThreadRef("issue", 479)
CREATE = GITHUB.create_comment(REPOSITORY, ISSUE, "hello")
EDIT = GITHUB.edit_comment(REPOSITORY, ISSUE, "991", "hello")
DELETE = GITHUB.delete_comment(REPOSITORY, ISSUE, "991")
STATUS = GITHUB.set_status(REPOSITORY, "c" * 40, CommitStatus(state=CommitState.SUCCESS, context="stitcher/fix"))
CHANGE = GITHUB.create_change(REPOSITORY, NewChange(title="t", body="b", base="main", head="stitcher/1"))
ACCESS = GITHUB.get_access(REPOSITORY, ForgeAccount("2", "octocat"))
ALL = (CREATE, EDIT, DELETE, STATUS, CHANGE, ACCESS)


def outcome(call: Call[Any], result: Response | RequestFailed, tries: int = 1) -> Outcome[Any]:
    limit = RequestLimit()
    if isinstance(result, Response):
        limit = limit.received(call.request, result, NOW)
    return outcome_of(GITHUB, call, result, limit, NOW, tries, 0.0)


@pytest.mark.parametrize(
    ("call", "result", "code"),
    [
        (CREATE, response(403, {"message": "Unable to create comment because issue is locked."}), "locked"),
        (EDIT, response(403, {"message": "Repository was archived so is read-only."}), "locked"),
        (CREATE, response(423, {"message": "the repository is archived"}), "locked"),
        (CREATE, response(403, {"message": "User is blocked"}), "forbidden"),
        (CREATE, response(403, {"message": "Resource not accessible by integration"}), "forbidden"),
        (ACCESS, response(403, {"message": "Must have push access to view collaborator permission."}), "forbidden"),
        (CREATE, response(404, {"message": "Not Found"}), "gone"),
        (CREATE, response(410), "gone"),
        (EDIT, response(404), "deleted"),
        (EDIT, response(410), "deleted"),
        (CREATE, response(422, {"message": "Validation Failed"}), "refused"),
        (CHANGE, response(422, {"message": "Validation Failed"}), "refused"),
        (STATUS, response(400), "refused"),
        (CREATE, response(409), "refused"),
        (CREATE, response(413), "refused"),
        (CREATE, RequestFailed("redirected", "it redirects"), "redirected"),
        (ACCESS, RequestFailed("redirected", "it redirects"), "redirected"),
    ],
)
def test_what_is_refused_for_good(call: Call[Any], result: Response | RequestFailed, code: str) -> None:
    found = outcome(call, result)
    assert isinstance(found, Rejected)
    assert found.code == code


@pytest.mark.parametrize(
    "result",
    [
        response(500),
        response(502, "<html>"),
        response(503),
        response(408),
        response(202, {}),
        response(304),
        RequestFailed("unreachable", "it did not answer", uncertain=True),
        RequestFailed("invalid", "not JSON", uncertain=True),
    ],
)
@pytest.mark.parametrize("call", ALL)
def test_what_is_tried_again_may_have_been_done_if_it_writes(call: Call[Any], result: Response | RequestFailed) -> None:
    found = outcome(call, result)
    assert isinstance(found, RetryAt)
    assert (found.at, found.uncertain) == (NOW + 5_000, call is not ACCESS)


def test_what_was_never_sent_has_not_been_done() -> None:
    found = outcome(CREATE, RequestFailed("unreachable", "connection refused"))
    assert found == RetryAt(NOW + 5_000, "connection refused", uncertain=False)


@pytest.mark.parametrize("content", [None, [], {}, {"id": "x"}, {"foo": 1}, "text", 3, {"id": 1, "body": None}])
@pytest.mark.parametrize("call", [CREATE, EDIT, STATUS, CHANGE, ACCESS])
def test_a_success_of_another_shape_is_not_believed(call: Call[Any], content: object) -> None:
    found = outcome(call, response(min(call.expected), content))
    assert isinstance(found, RetryAt)
    assert "shape" in found.reason


@pytest.mark.parametrize("call", ALL)
def test_what_holds_the_credential(call: Call[Any]) -> None:
    refused = outcome(call, response(401, {"message": "Bad credentials"}))
    assert refused == Hold(
        NOW + CREDENTIAL_CHECK, "the token is not accepted: github answered 401: Bad credentials", "credential"
    )
    limited = outcome(call, response(403, {"message": "You have exceeded a secondary rate limit"}))
    assert limited == Hold(NOW + 60_000, "secondary rate limit", "rate_limit")
    certificate = outcome(call, RequestFailed("certificate", "no valid certificate"))
    assert certificate == Hold(NOW + CREDENTIAL_CHECK, "no valid certificate", "certificate")


def test_what_is_gone_already_is_deleted_and_a_stranger_may_do_nothing() -> None:
    assert outcome(DELETE, response(204)) == outcome(DELETE, response(404)) == Done(value=True)
    found = outcome(ACCESS, response(404))
    assert isinstance(found, Done)
    assert ACCESS.read(response(404)).level is AccessLevel.NONE


def test_a_refusal_says_what_the_forge_said_and_which_right_is_missing() -> None:
    found = outcome(CREATE, response(403, {"message": "Resource not\n accessible"}))
    assert found == Rejected(
        "forbidden",
        "github answered 403: Resource not accessible",
        "the token needs write access to issues and pull requests",
    )
    long = outcome(CREATE, response(422, {"message": "x" * 9000}))
    assert isinstance(long, Rejected)
    assert len(long.detail) < 300


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"target_branch": ["can't be blank", "is invalid"]}, "target_branch: can't be blank, is invalid"),
        ({"source_branch": ["x"], "base": "y"}, "source_branch: x; base: y"),
        (["Another open merge request", 3], "Another open merge request, 3"),
    ],
)
def test_what_a_forge_says_by_field_is_said_in_words(message: object, said: str) -> None:
    found = outcome(CREATE, response(400, {"message": message}))
    assert isinstance(found, Rejected)
    assert found.detail == f"github answered 400: {said}"


def test_a_branch_that_gitlab_does_not_see_yet_is_tried_again_for_some_minutes() -> None:
    new = NewChange(title="t", body="b", base="main", head="stitcher/1")
    call = FORGES["gitlab"].create_change(REPOSITORY, new)
    unseen = response(400, {"message": {"source_branch": ["does not exist"]}})
    waits = []
    for tries in range(1, 6):
        found = outcome(call, unseen, tries)
        assert isinstance(found, RetryAt)
        assert not found.uncertain
        waits.append(found.at - NOW)
    assert 60_000 < sum(waits) < 900_000
    assert isinstance(outcome(call, unseen, 6), Rejected)
    for other in ({"target_branch": ["does not exist"]}, {"source_branch": ["is invalid"]}, ["x"], "source_branch"):
        assert isinstance(outcome(call, response(400, {"message": other})), Rejected)


@pytest.mark.parametrize("kind", FORGES)
def test_each_operation_that_writes_names_the_right_that_it_needs(kind: str) -> None:
    forge = FORGES[kind]
    operations = {"get_access", "add_reaction", "create_comment", "edit_comment", "delete_comment", "set_status"}
    assert operations | {"create_change", "list_comments", "list_hooks"} <= set(forge.rights)


def test_each_delay_is_three_times_as_long_up_to_a_quarter_of_an_hour() -> None:
    assert [retry_delay(tries, 0) for tries in range(1, 8)] == [
        5_000,
        15_000,
        45_000,
        135_000,
        405_000,
        900_000,
        900_000,
    ]
    assert (retry_delay(1, -1), retry_delay(1, 1), retry_delay(10**6, 0)) == (4_000, 6_000, 900_000)


def test_a_server_that_names_a_time_is_not_asked_before() -> None:
    assert outcome(CREATE, response(503, Retry_After="120")) == RetryAt(
        NOW + 120_000, "github answered 503", uncertain=True
    )
    assert outcome(CREATE, response(503, Retry_After="1"), tries=3) == RetryAt(
        NOW + 45_000, "github answered 503", uncertain=True
    )
