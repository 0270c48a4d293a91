"""Tests what is answered to an agent that asks for permission."""

from pathlib import Path

import pytest

from stitcherd.executors.acp.permissions import ToolCall, choose_option, denial_reason

WRITER = frozenset({"repo:read", "repo:write"})
ALL = WRITER | {"exec:run", "net:any"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    (work / "src").mkdir(parents=True)
    (tmp_path / "work-2").mkdir()
    (work / "out").symlink_to(tmp_path)
    (work / "in").symlink_to(work / "src")
    (work / "loop").symlink_to(work / "loop")
    return work


@pytest.mark.parametrize("kind", ["read", "search", "think"])
def test_what_changes_nothing_needs_no_capability(checkout: Path, kind: str) -> None:
    assert denial_reason(ToolCall(id="1", kind=kind), (), checkout) is None


@pytest.mark.parametrize("kind", ["edit", "delete", "move"])
@pytest.mark.parametrize("path", ["src/a", "{work}/src/new/b", "in/a", "src/../a", "{work}/."[:-2] + "/x"])
def test_files_inside_the_checkout_may_be_changed(checkout: Path, kind: str, path: str) -> None:
    call = ToolCall(id="1", kind=kind, paths=(path.format(work=checkout),))
    assert denial_reason(call, WRITER, checkout) is None
    reason = denial_reason(call, {"repo:read"}, checkout)
    assert reason == "the profile does not have the capability repo:write"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x",
        "out/x",
        "in/../../x",
        "{work}-2/x",
        "loop/x",
        "a\0b",
        "",
        ".",
        "{work}",
        "~/../../x/../..",
    ],
)
def test_all_other_files_may_not(checkout: Path, path: str) -> None:
    written = path.format(work=checkout)
    call = ToolCall(id="1", kind="edit", paths=("src/a", written))
    assert denial_reason(call, ALL, checkout) == f"{written} is not inside the checkout"


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (tuple(map(str, range(1001))), "the call names more than 1,000 files"),
        (("a/" * 2049,), f"{'a/' * 2048} is not inside the checkout"),
    ],
)
def test_a_call_that_names_too_much_is_denied(checkout: Path, paths: tuple[str, ...], reason: str) -> None:
    assert denial_reason(ToolCall(id="1", kind="edit", paths=paths), ALL, checkout) == reason


def test_a_change_without_a_file_is_denied(checkout: Path) -> None:
    reason = denial_reason(ToolCall(id="1", kind="edit"), ALL, checkout)
    assert reason == "the agent does not say which files it would change"


@pytest.mark.parametrize(("kind", "capability"), [("execute", "exec:run"), ("fetch", "net:any")])
def test_programs_and_the_network_need_their_capability(checkout: Path, kind: str, capability: str) -> None:
    call = ToolCall(id="1", kind=kind)
    assert denial_reason(call, {capability}, checkout) is None
    assert denial_reason(call, ALL - {capability}, checkout) == f"the profile does not have the capability {capability}"


@pytest.mark.parametrize("kind", ["other", "switch_mode", "new-kind", ""])
def test_any_other_kind_is_denied(checkout: Path, kind: str) -> None:
    reason = denial_reason(ToolCall(id="1", kind=kind, paths=("src/a",)), ALL, checkout)
    assert reason == f"no capability allows a tool call of the kind {kind}"


OPTIONS = [
    {"kind": kind, "optionId": kind[:8]} for kind in ("allow_always", "allow_once", "reject_always", "reject_once")
]


@pytest.mark.parametrize(("allowed", "option"), [(True, "allow_on"), (False, "reject_o")])
def test_an_answer_is_for_one_call(*, allowed: bool, option: str) -> None:
    assert choose_option(OPTIONS, allowed=allowed) == option
    assert choose_option([each for each in OPTIONS if each["optionId"] != option], allowed=allowed) is None


@pytest.mark.parametrize("options", [None, 3, "allow_once", {}, [None], [{"kind": "allow_once"}]])
def test_options_that_are_none_are_not_chosen(options: object) -> None:
    assert choose_option(options, allowed=True) is None
