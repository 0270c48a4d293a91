"""No name, number or id leaves its place in a path."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitcherd.forges import FORGES, paths
from stitcherd.forges.base import Forge
from stitcherd.forges.models import (
    CommitState,
    CommitStatus,
    ForgeAccount,
    Reaction,
    ReactionTarget,
    RepositoryRef,
    ThreadRef,
)

REPOSITORY = RepositoryRef("octo-org/api", "7")
ISSUE = ThreadRef("issue", 479)
KINDS = pytest.mark.parametrize("forge", FORGES.values(), ids=lambda forge: forge.kind)


@given(st.text())
def test_a_segment_stays_one(value: str) -> None:
    try:
        encoded = paths.segment(value)
    except paths.InvalidReference:
        return
    assert unquote(encoded) == value
    assert encoded not in {"", ".", ".."}
    assert not set(encoded) & set("/?#\\ %") - {"%"}


@pytest.mark.parametrize("value", ["", ".", "..", "a\nb", "a\0", "\ud800", "\x7f"])
def test_what_cannot_be_a_segment(value: str) -> None:
    with pytest.raises(paths.InvalidReference):
        paths.segment(value)


NAMES = [
    "",
    "api",
    "/api",
    "a/",
    "a/../b",
    "../api",
    "a/..",
    "a/./b",
    "a/b?c",
    "a/b#c",
    "a/b%2e",
    "a/é",
    "a/b\n",
    "-a/b",
]


@KINDS
@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_the_name_of_a_repository(forge: Forge, name: str) -> None:
    with pytest.raises(paths.InvalidReference):
        forge.repository_path(RepositoryRef(name))


def test_groups_are_nested_only_at_gitlab() -> None:
    assert FORGES["gitlab"].repository_path(RepositoryRef("a/b/c")) == "/projects/a%2Fb%2Fc"
    assert FORGES["gitlab"].repository_path(REPOSITORY) == "/projects/7"
    for kind in ("github", "gitea"):
        assert FORGES[kind].repository_path(RepositoryRef("a/b.c")) == "/repos/a/b.c"
        with pytest.raises(paths.InvalidReference):
            FORGES[kind].repository_path(RepositoryRef("a/b/c"))


@KINDS
@pytest.mark.parametrize("id_", ["", "0", "01", "-1", "1/2", "1?a", "x", "\u0661", "1" * 20])
def test_what_cannot_be_an_id(forge: Forge, id_: str) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: forge.get_account(REPOSITORY, id_),
        lambda: forge.edit_comment(REPOSITORY, ISSUE, id_, "x"),
        lambda: forge.delete_comment(REPOSITORY, ISSUE, id_),
        lambda: forge.add_reaction(REPOSITORY, ReactionTarget(ISSUE, id_), Reaction.EYES, ForgeAccount("1", "mosaic")),
        lambda: forge.get_repository_by_id(RepositoryRef("a/b", id_)),
    ]
    for call in calls:
        with pytest.raises(paths.InvalidReference):
            call()


@KINDS
@pytest.mark.parametrize("sha", ["", "main", "A" * 40, "a" * 39, "a" * 41, "a" * 40 + "/x", "a" * 40 + "\n"])
def test_what_cannot_be_a_commit(forge: Forge, sha: str) -> None:
    with pytest.raises(paths.InvalidReference):
        forge.set_status(REPOSITORY, sha, CommitStatus(state=CommitState.PENDING, context="c"))


def test_logins_and_branches_are_encoded() -> None:
    access = FORGES["github"].get_access(REPOSITORY, ForgeAccount("3", "dependabot[bot]"))
    assert access.request.path == "/collaborators/dependabot%5Bbot%5D/permission"
    found = FORGES["gitea"].find_change(REPOSITORY, "stitcher/1", "release/2?x")
    assert found.request.path == "/pulls/release%2F2%3Fx/stitcher%2F1"
