"""`stitcher rails`: check, show, simulate and schema."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from shared.api import RailsFault, RailsState
from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher
from tui.cli.terminal import Terminal
from tui.cli.verbs import rails

FAULT = {"line": 34, "column": 17, "message": "unknown capability 'git:comit' (did you mean git:commit?)"}
STATE = {
    "revision": "r-4f2a91c0",
    "loadedAt": "2026-11-22T14:02:11.284Z",
    "mode": "enforce",
    "path": "rails.yaml",
    "text": "version: 1\nlimits: {}\t# \x1b[31m\n",
    "warnings": [{"line": 2, "column": 1, "message": "limits are not enforced"}],
    "error": None,
}
SIMULATION: dict[str, Any] = {
    "revision": "r-4f2a91c0",
    "warnings": [],
    "deliveries": 0,
    "changed": [],
    "counts": {},
    "skipped": {},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "new.yaml"
    path.write_text("version: 1\n")
    return path


def test_a_valid_file_prints_nothing_on_stdout(api: FakeApi, stitcher: RunStitcher, file: Path) -> None:
    api.answers["POST /rails/simulate"] = (200, SIMULATION)
    assert stitcher("rails", "check", str(file)) == (0, "", "the rails are valid: r-4f2a91c0\n")
    assert api.requests == [("POST /rails/simulate", {"text": "version: 1\n", "limit": 0})]
    api.answers["POST /rails/simulate"] = (200, {**SIMULATION, "warnings": STATE["warnings"]})
    code, out, err = stitcher("rails", "check", str(file))
    assert (code, out) == (0, f"{file}:2:1: warning: limits are not enforced\n")
    assert err == "the rails are valid: r-4f2a91c0, 1 warning\n"


def test_an_invalid_file_has_a_line_for_each_fault(api: FakeApi, stitcher: RunStitcher, file: Path) -> None:
    faults = [FAULT, {"line": 40, "column": 1, "message": "\x1b"}]
    problem = documents.problem(422, "invalid", "rails.yaml:34:17: …", faults=faults, **FAULT)
    api.answers["POST /rails/simulate"] = (422, problem)
    for action in ("check", "simulate"):
        code, out, err = stitcher("rails", action, str(file))
        assert (code, err) == (2, "")
        assert out == f"{file}:34:17: {FAULT['message']}\n{file}:40:1: \\x1b\n"
    code, out, _ = stitcher("rails", "check", str(file), "--json")
    assert (code, json.loads(out)["faults"]) == (2, faults)


def test_the_default_file_is_that_of_the_configuration(
    api: FakeApi, stitcher: RunStitcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answers["POST /rails/simulate"] = (200, SIMULATION)
    (tmp_path / "rails.yaml").write_text("version: 1 # mine\n")
    assert stitcher("--config", str(tmp_path), "rails", "check")[0] == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"version: 1 # typed\n")))
    assert stitcher("rails", "check", "-")[0] == 0
    assert [body["text"] for _, body in api.requests] == ["version: 1 # mine\n", "version: 1 # typed\n"]


def test_unreadable_files(api: FakeApi, stitcher: RunStitcher, tmp_path: Path) -> None:
    code, _, err = stitcher("rails", "check", str(tmp_path / "none.yaml"))
    assert (code, err) == (2, f"stitcher: {tmp_path}/none.yaml cannot be read: No such file or directory\n")
    (tmp_path / "latin.yaml").write_bytes(b"\xe4")
    assert stitcher("rails", "check", str(tmp_path / "latin.yaml"))[0] == 2
    assert api.requests == []


def test_another_problem_is_printed_as_usual(api: FakeApi, stitcher: RunStitcher, file: Path) -> None:
    api.answers["POST /rails/simulate"] = (422, documents.problem(422, "invalid", "limit: too big"))
    assert stitcher("rails", "simulate", str(file)) == (2, "", "stitcher: limit: too big\n")


def test_show_prints_the_text_and_the_rest_on_stderr(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /rails"] = (200, STATE)
    code, out, err = stitcher("rails", "show")
    assert (code, out) == (0, "version: 1\nlimits: {}\t# \\x1b[31m\n")
    assert err == "rails r-4f2a91c0 are in force since 2026-11-22T14:02:11.284Z, mode enforce, 1 warning\n"
    api.answers["GET /rails"] = (200, {**STATE, "error": {**FAULT, "at": "2026-11-22T15:00:00.000Z"}})
    assert f"rails.yaml:34:17: {FAULT['message']} (since 2026-11-22T15:00:00.000Z)\n" in stitcher("rails", "show")[2]


def test_show_on_a_terminal_has_line_numbers_and_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings = (RailsFault(2, 3, "not\x1b enforced"),)
    state = RailsState("r-1", None, "enforce", "rails.yaml", str(STATE["text"]), warnings, None)
    terminal = Terminal(io.StringIO(), io.StringIO(), io.StringIO(), {})
    monkeypatch.setattr(Terminal, "stdout_is_terminal", True)
    assert rails.text_lines(state, terminal)[1:] == [
        "    2  limits: {}\\t# \\x1b[31m",
        "         ▲ not\\x1b enforced",
    ]


def test_show_without_rails(api: FakeApi, stitcher: RunStitcher) -> None:
    none = dict.fromkeys(("revision", "loadedAt", "mode", "text"))
    api.answers["GET /rails"] = (200, {**STATE, **none, "warnings": [], "error": FAULT})
    code, out, err = stitcher("rails", "show")
    assert (code, out) == (1, "")
    assert err.endswith("no rails are in force: nothing runs\n")


def test_show_effective(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /rails"] = (200, {**STATE, "effective": {"version": 1, "mode": "enforce"}})
    code, out, _ = stitcher("rails", "show", "--effective")
    assert (code, json.loads(out)) == (0, {"version": 1, "mode": "enforce"})
    assert api.requests == [("GET /rails?effective=true", None)]


def test_a_simulation_prints_a_line_for_each_change_and_a_summary(
    api: FakeApi, stitcher: RunStitcher, file: Path
) -> None:
    changed = {
        "deliveryId": documents.DELIVERY["id"],
        "before": "allowed",
        "after": "denied",
        "decision": documents.DECISION,
        **{key: documents.DELIVERY[key] for key in ("receivedAt", "event", "action", "sender", "repository", "thread")},
    }
    counts = {"allowed→denied": 2, "ignored→denied": 1, "ignored→allowed": 1}
    answer = {**SIMULATION, "deliveries": 1000, "changed": [changed], "counts": counts, "skipped": {"bodyGone": 3}}
    api.answers["POST /rails/simulate"] = (200, answer)
    code, out, err = stitcher("rails", "simulate", "--since", "7d", "--limit", "1000", str(file))
    assert (code, out.split("  ")) == (
        0,
        [
            "7f3a1c02",
            "allowed → denied",
            "issue_comment on octo-org/api#480 by github:drive-by",
            "who: github:drive-by is in none of team, mosaic (to allow it: add github:drive-by to team)\n",
        ],
    )
    assert err == "3 now denied, 1 newly allowed, of 1,000 deliveries; 3 could not be decided again\n"
    (_, body), = api.requests  # fmt: skip
    assert (body["limit"], body["since"].endswith("+00:00")) == (1000, True)
    api.answers["POST /rails/simulate"] = (200, SIMULATION)
    assert stitcher("rails", "simulate", str(file))[1:] == ("", "nothing would change, of 0 deliveries\n")
    assert json.loads(stitcher("rails", "simulate", str(file), "--json")[1]) == SIMULATION


def test_the_schema_is_printed_unchanged(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /rails/schema"] = (200, {"type": "object"})
    code, out, _ = stitcher("rails", "schema")
    assert (code, json.loads(out)) == (0, {"type": "object"})


@pytest.mark.parametrize("argv", [["rails"], ["rails", "look"], ["rails", "simulate", "--since", "soon", "x"]])
def test_usage_errors(stitcher: RunStitcher, argv: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        stitcher(*argv)
    assert left.value.code == 2


def test_without_a_daemon_check_points_to_stitcherd(
    api: FakeApi, stitcher: RunStitcher, file: Path, tmp_path: Path
) -> None:
    code, out, err = stitcher("--socket", str(tmp_path / "none.sock"), "rails", "check", str(file))
    assert (code, out) == (3, "")
    assert "stitcherd --check" in err
