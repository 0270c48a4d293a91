"""The executors and profiles in docs/agents.md are valid as they stand there."""

import re
from pathlib import Path

import pytest

from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS, rails_context
from stitcherd.executors.streams import STREAMS
from stitcherd.rails.load import load_rails

PAGE = (Path(__file__).parents[3] / "docs" / "agents.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PROFILES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
JOBS = """version: 1
people: {{team: {{permission: write}}}}
jobs: {{fix: {{profile: {profile}, needs: [repo:write, git:commit]}}}}
triggers: [{{id: fix, on: [issue.comment], command: fix, from: [team], job: fix}}]
"""
NAMES = [re.findall(r"^\[executors\.([\w-]+)\]", block, re.MULTILINE) for block in BLOCKS]


@pytest.mark.parametrize(("block", "names"), zip(BLOCKS, NAMES, strict=True), ids=["-".join(each) for each in NAMES])
def test_the_executors_of_the_guide_are_valid(tmp_path: Path, block: str, names: list[str]) -> None:
    (tmp_path / "stitcherd.toml").write_text(block)
    settings = load_settings(tmp_path, SUPPORTED_KINDS)
    assert settings.warnings == ()
    assert names
    assert list(settings.executors) == names
    for executor in settings.executors.values():
        assert executor.kind == "acp" or STREAMS[executor.output].missing_options(executor.argv) == []


def test_the_guide_has_a_profile_for_each_executor() -> None:
    found = [re.findall(r"^    executor: ([\w-]+)$", profile, re.MULTILINE) for profile in PROFILES]
    assert found == NAMES


@pytest.mark.parametrize(
    ("profile", "names"), zip(PROFILES, NAMES, strict=True), ids=["-".join(each) for each in NAMES]
)
def test_the_profiles_of_the_guide_are_valid(tmp_path: Path, profile: str, names: list[str]) -> None:
    (tmp_path / "stitcherd.toml").write_text("\n".join(BLOCKS))
    (tmp_path / "rails.yaml").write_text(JOBS.format(profile=names[0]) + profile)
    settings = load_settings(tmp_path, SUPPORTED_KINDS)
    rails = load_rails(tmp_path / "rails.yaml", rails_context(tmp_path, settings))
    assert rails.jobs["fix"].profile.executor == names[0]
