"""The file of cases: what it takes, and the place of each fault."""

import json
from pathlib import Path

import pytest

from shared.models import Verdict
from stitcherd.rails.cases import RailsCase, load_cases
from stitcherd.rails.load import RailsError

CASES = """\
# what the policy is to do
- name: the team may ask
  source: github
  headers: {X-GitHub-Event: issue_comment}
  body: {action: created, milestone: null, labels: [{name: bug}], number: 7}
  expect: {verdict: allowed, job: fix}
- name: strangers may not
  source: github
  payload: strangers.json
  permissions: {octocat: read}
  expect: {verdict: denied, reason: is in none of}
"""


def load(directory: Path, text: str) -> list[RailsCase]:
    path = directory / "rails.test.yaml"
    path.write_text(text)
    return load_cases(path)


def test_a_body_is_written_or_in_a_file_beside(tmp_path: Path) -> None:
    (tmp_path / "strangers.json").write_bytes(b"{}\n")
    first, second = load(tmp_path, CASES)
    assert json.loads(first.body) == {"action": "created", "milestone": None, "labels": [{"name": "bug"}], "number": 7}
    assert (second.body, second.line) == (b"{}\n", 7)
    assert [each.expected() for each in (first, second)] == ["allowed fix", "denied: …is in none of…"]
    (text,) = load(tmp_path, "- {name: a, source: b, body: 'x=1', expect: {verdict: ignored}}")
    assert text.body == b"x=1"


def test_an_expectation_is_met_if_all_that_it_names_is_so(tmp_path: Path) -> None:
    (tmp_path / "strangers.json").touch()
    first, second = load(tmp_path, CASES)
    assert first.is_met(Verdict.ALLOWED, "fix", "trigger fix")
    assert not first.is_met(Verdict.ALLOWED, "free", "trigger fix")
    assert not first.is_met(Verdict.WAITING, "fix", "trigger fix")
    assert second.is_met(Verdict.DENIED, None, "who: github:eve is in none of team")
    assert not second.is_met(Verdict.DENIED, None, "guard outsider-text")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1:1: must be a list of cases, each with name, source and expect"),
        ("a: b", "1:1: must be a list of cases, each with name, source and expect"),
        ("- {name: a", "1:11: this is not YAML: "),
        ("- name: a\n  sauce: b\n", "2:3: unknown key 'sauce' in an item of cases (did you mean source?)"),
        ("- {name: a, source: b, expect: {verdict: allowed}}", "1:3: a case has either body or payload"),
        (
            "- {name: a, source: b, body: {}, expect:\n  {verdict: alowed}}",
            "2:13: verdict must be allowed, waiting, deciding, ignored or denied, not 'alowed' (did you mean allowed?)",
        ),
        (
            "- {name: a, source: b, expect: {verdict: denied},\n   payload: none.json}",
            "2:13: payload none.json cannot be read: no such file or directory",
        ),
        ("- {name: a, source: b, body: {}, headers: {X: 1}, expect: {verdict: denied}}", "1:47: "),
    ],
)
def test_a_fault_has_its_place(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(RailsError) as refused:
        load(tmp_path, text)
    found = [f"{each.line}:{each.column}: {each.message}" for each in refused.value.faults]
    assert any(each.startswith(fault) for each in found), found


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RailsError, match="cannot be read: no such file or directory"):
        load_cases(tmp_path / "none.yaml")
    (tmp_path / "odd.yaml").write_bytes(b"\xff")
    with pytest.raises(RailsError, match="not UTF-8 text"):
        load_cases(tmp_path / "odd.yaml")
