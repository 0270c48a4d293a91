"""Which executors count what their agents use: where one does not, the check of the rails says that budgets do not."""

from pathlib import Path

import pytest

from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS, rails_context
from stitcherd.executors.streams import STREAMS
from stitcherd.rails.load import load_rails

PRICES = "prices = {input = 3.0, output = 15.0}"
RAILS = """
version: 1
people: {team: {permission: write}}
profiles: {weaver: {executor: agent, capabilities: [repo:read]}}
jobs: {fix: {profile: weaver, needs: [repo:read]}}
triggers: [{id: fix, on: [issue.comment], command: fix, from: [team], job: fix}]
limits: {budget: {per_job: {turns: 3, usd: 1}, per_day: {usd: 5}}}
"""
COUNTED = {
    ("command", 'output = "plain"', ""): False,
    ("command", 'output = "claude"', ""): True,
    ("command", 'output = "codex"', ""): False,
    ("command", 'output = "codex"', PRICES): True,
    ("command", 'output = "gemini"', ""): False,
    ("command", 'output = "gemini"', PRICES): True,
    ("command", 'output = "opencode"', ""): False,  # it tells 0 dollars for a model that it has no prices for
    ("command", 'output = "opencode"', PRICES): True,
    ("acp", "", ""): False,
    ("acp", "", PRICES): True,
}


def test_each_output_is_known_here() -> None:
    assert {output for kind, output, _ in COUNTED if kind == "command"} == {
        f'output = "{each}"' for each in ("plain", *STREAMS)
    }


@pytest.mark.parametrize(("kind", "output", "prices"), COUNTED)
def test_the_check_says_where_a_budget_is_not_counted(tmp_path: Path, kind: str, output: str, prices: str) -> None:
    table = f'[executors.agent]\nkind = "{kind}"\nargv = ["agent"]\n{output}\n{prices}\n'
    (tmp_path / "stitcherd.toml").write_text(table)
    (tmp_path / "rails.yaml").write_text(RAILS)
    settings = load_settings(tmp_path, SUPPORTED_KINDS)
    rails = load_rails(tmp_path / "rails.yaml", rails_context(tmp_path, settings))
    said = [each.message for each in rails.warnings if "does not count" in each.message]
    expected = [
        f"{key} does not count what agents of executor agent use: it does not report that"
        for key in ("per_job", "per_day")
    ]
    assert said == ([] if COUNTED[kind, output, prices] else expected)
