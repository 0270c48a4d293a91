"""What each kind of forge asks and reads, without a server; the way through a fake is in tests/forges."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitcherd.forges import FORGES
from stitcherd.forges.base import AccountChanged, Forge, UnexpectedResponse
from stitcherd.forges.models import (
    AccessLevel,
    ChangeState,
    CommitState,
    CommitStatus,
    ForgeAccount,
    NewChange,
    RepositoryRef,
    ThreadRef,
)
from stitcherd.sources import SOURCES
from tests.stitcherd.forges.responses import response

REPOSITORY = RepositoryRef("octo-org/api", "7")
ISSUE = ThreadRef("issue", 479)
OCTOCAT = ForgeAccount("2", "octocat")
GITHUB, GITEA, GITLAB = FORGES["github"], FORGES["gitea"], FORGES["gitlab"]
KINDS = pytest.mark.parametrize("forge", FORGES.values(), ids=lambda forge: forge.kind)


def permission(level: str, id_: int = 2, login: str = "octocat") -> dict[str, Any]:
    return {"permission": level, "role_name": f"{level}-role", "user": {"id": id_, "login": login}, "new": 1}


def member(level: int, id_: int = 2, **more: str) -> dict[str, Any]:
    return {"id": id_, "username": "octocat", "state": "active", "access_level": level, **more}


def test_every_kind_is_also_one_of_a_source() -> None:
    assert set(FORGES) < set(SOURCES)
    assert [kind for kind, forge in FORGES.items() if forge.kind != kind] == []


@pytest.mark.parametrize(
    ("forge", "content", "level"),
    [
        *[(forge, permission("none"), AccessLevel.NONE) for forge in (GITHUB, GITEA)],
        *[(forge, permission("read"), AccessLevel.READ) for forge in (GITHUB, GITEA)],
        *[(forge, permission("write"), AccessLevel.WRITE) for forge in (GITHUB, GITEA)],
        *[(forge, permission("admin"), AccessLevel.ADMIN) for forge in (GITHUB, GITEA)],
        (GITEA, permission("owner"), AccessLevel.ADMIN),
        *[(GITLAB, member(number), AccessLevel.NONE) for number in (0, 5, 10, 15, 19)],
        *[(GITLAB, member(number), AccessLevel.READ) for number in (20, 25)],
        (GITLAB, member(30), AccessLevel.WRITE),
        *[(GITLAB, member(number), AccessLevel.ADMIN) for number in (40, 50, 60)],
        *[(GITLAB, member(50, state=state), AccessLevel.NONE) for state in ("blocked", "deactivated", "")],
        (GITLAB, member(50, membership_state="awaiting"), AccessLevel.NONE),
    ],
)
def test_levels(forge: Forge, content: dict[str, Any], level: AccessLevel) -> None:
    access = forge.get_access(REPOSITORY, OCTOCAT).read(response(200, content))
    assert (access.level, access.account) == (level, OCTOCAT)


@pytest.mark.parametrize(
    ("forge", "content"),
    [(GITHUB, permission("admin", 8)), (GITEA, permission("admin", 8)), (GITLAB, member(50, 8))],
)
def test_a_login_that_belongs_to_another_account_by_now_has_no_access(forge: Forge, content: dict[str, Any]) -> None:
    with pytest.raises(AccountChanged, match="octocat has the id 8, not 2"):
        forge.get_access(REPOSITORY, OCTOCAT).read(response(200, content))


@pytest.mark.parametrize("forge", [GITHUB, GITEA])
def test_a_renamed_account_with_the_same_id_keeps_its_access(forge: Forge) -> None:
    found = forge.get_access(REPOSITORY, OCTOCAT).read(response(200, permission("write", 2, "octo-cat")))
    assert (found.account, found.level, found.role) == (ForgeAccount("2", "octo-cat"), AccessLevel.WRITE, "write-role")


@pytest.mark.parametrize(
    ("forge", "content"),
    [
        *[(forge, permission("superuser")) for forge in (GITHUB, GITEA)],
        *[(forge, {"permission": "admin", "user": None}) for forge in (GITHUB, GITEA)],
        *[(forge, {"permission": "admin"}) for forge in (GITHUB, GITEA)],
        *[(forge, {"user": {"id": 2, "login": "octocat"}}) for forge in (GITHUB, GITEA)],
        *[(forge, {"permission": "admin", "user": {"id": "2", "login": "octocat"}}) for forge in (GITHUB, GITEA)],
        (GITLAB, {"id": 2, "username": "octocat", "access_level": 50}),
        (GITLAB, {"id": 2, "username": "octocat", "state": "active"}),
        (GITLAB, {"id": 2, "username": "octocat", "state": "active", "access_level": "50"}),
        (GITLAB, {"id": 2, "username": "octocat", "state": "active", "access_level": True}),
        *[(forge, wrong) for forge in FORGES.values() for wrong in (None, "admin", 50)],
    ],
)
def test_a_permission_that_is_not_certain_is_not_believed(forge: Forge, content: object) -> None:
    with pytest.raises(UnexpectedResponse):
        forge.get_access(REPOSITORY, OCTOCAT).read(response(200, content))


def test_unknown_accounts_have_no_access() -> None:
    for forge in FORGES.values():
        call = forge.get_access(REPOSITORY, OCTOCAT)
        assert 404 in call.expected
        assert call.read(response(404)).level is AccessLevel.NONE


@pytest.mark.parametrize(
    ("forge", "states"),
    [
        (GITHUB, ["pending", "pending", "success", "failure", "error"]),
        (GITEA, ["pending", "pending", "success", "failure", "error"]),
        (GITLAB, ["pending", "running", "success", "failed", "failed"]),
    ],
)
def test_states_of_commits(forge: Forge, states: list[str]) -> None:
    bodies = [
        forge.set_status(
            REPOSITORY, "c" * 40, CommitStatus(state=state, context="stitcher/fix", description="x" * 999)
        ).request.body
        for state in CommitState
    ]
    assert [body and body["state"] for body in bodies] == states
    assert [len(body["description"]) for body in bodies if body] == [
        {"github": 140, "gitlab": 255}.get(forge.kind, 999)
    ] * 5


@pytest.mark.parametrize(("forge", "title"), [(GITHUB, "Fix it"), (GITEA, "WIP: Fix it"), (GITLAB, "Draft: Fix it")])
def test_drafts(forge: Forge, title: str) -> None:
    call = forge.create_change(REPOSITORY, NewChange(title="Fix it", body="", base="main", head="a/b", draft=True))
    assert call.request.body
    assert (call.request.body["title"], call.request.body.get("draft")) == (title, True if forge is GITHUB else None)


@pytest.mark.parametrize(
    ("state", "merged", "expected"),
    [
        ("open", None, ChangeState.OPEN),
        ("closed", None, ChangeState.CLOSED),
        ("closed", "2026-01-01", ChangeState.MERGED),
    ],
)
def test_the_state_of_a_change_in_a_list_of_github(state: str, merged: str | None, expected: ChangeState) -> None:
    branch = {"ref": "stitcher/1", "sha": "a" * 40, "repo": {"id": 7, "full_name": "octo-org/api"}}
    change = {"number": 1, "state": state, "html_url": "u", "merged_at": merged, "head": branch}
    change |= {"base": branch | {"ref": "main"}, "user": None}
    foreign = change | {"head": branch | {"repo": {"id": 8, "full_name": "evil/api"}}}
    found = GITHUB.find_change(REPOSITORY, "stitcher/1", "main").read(response(200, [foreign, change]))
    assert found
    assert (found.state, found.from_fork) == (expected, False)
    assert GITHUB.find_change(REPOSITORY, "stitcher/1", "main").read(response(200, [foreign])) is None


def test_the_last_error_of_a_hook() -> None:
    hook = {"id": 1, "active": True, "config": {"url": "https://d/hook"}}
    codes = [None, 200, 404, 0]
    hooks = [hook | {"last_response": {"code": code, "status": "x", "message": "no"}} for code in codes]
    found = GITHUB.list_hooks(REPOSITORY).read(response(200, [*hooks, hook]))
    assert [each.error for each in found] == [None, None, "404: no", "0: no", None]
    at_gitlab = [
        {"id": 1, "url": "https://d/hook", "alert_status": "executable", "disabled_until": None},
        {"id": 2, "url": "https://d/hook", "alert_status": "temporarily_disabled", "disabled_until": "2026-11-22"},
    ]
    failed = "temporarily_disabled until 2026-11-22"
    found = GITLAB.list_hooks(REPOSITORY).read(response(200, at_gitlab))
    assert [(each.active, each.error) for each in found] == [(True, None), (False, failed)]
    [only] = GITEA.list_hooks(REPOSITORY).read(response(200, [hook]))
    assert (only.url, only.active, only.error) == ("https://d/hook", True, None)


def test_an_issue_that_was_moved_is_told() -> None:
    issue = {"iid": 1, "state": "closed", "web_url": "u", "moved_to_id": 99}
    assert GITLAB.get_thread(REPOSITORY, ISSUE).read(response(200, issue)).moved
    moved = {"number": 1, "state": "open", "html_url": "u", "repository_url": "https://h/repos/octo-org/web"}
    assert GITHUB.get_thread(REPOSITORY, ISSUE).read(response(200, moved)).repository == "octo-org/web"
    for url in ("", "https://h/repos/../web", "https://h/repos/a%2Fb/web"):
        with pytest.raises(UnexpectedResponse):
            GITHUB.get_thread(REPOSITORY, ISSUE).read(response(200, moved | {"repository_url": url}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "iid", "user", "author", "state", "head", "base", "number", "body", "name", "data"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@KINDS
@given(content=JSON)
def test_whatever_is_read_is_of_the_shape_or_a_typed_error(forge: Forge, content: Any) -> None:
    calls: list[Any] = [
        forge.get_user(),
        forge.get_account(REPOSITORY, "2"),
        forge.get_access(REPOSITORY, OCTOCAT),
        forge.list_comments(REPOSITORY, ISSUE, 0, 1),
        forge.create_comment(REPOSITORY, ISSUE, "x"),
        forge.get_thread(REPOSITORY, ISSUE),
        forge.get_change(REPOSITORY, 1),
        forge.find_change(REPOSITORY, "a", "b"),
        forge.get_repository(REPOSITORY),
        forge.list_hooks(REPOSITORY),
    ]
    for call in calls:
        try:
            call.read(response(200, content))
        except (UnexpectedResponse, AccountChanged):
            continue
