"""The executors in docs/agents.md are valid as they stand there."""

import re
from pathlib import Path

import pytest

from stitcherd.config.load import load_settings
from stitcherd.daemon import SUPPORTED_KINDS

PAGE = (Path(__file__).parents[3] / "docs" / "agents.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
NAMES = [re.findall(r"^\[executors\.([\w-]+)\]", block, re.MULTILINE) for block in BLOCKS]


@pytest.mark.parametrize(("block", "names"), zip(BLOCKS, NAMES, strict=True), ids=["-".join(each) for each in NAMES])
def test_the_executors_of_the_guide_are_valid(tmp_path: Path, block: str, names: list[str]) -> None:
    (tmp_path / "stitcherd.toml").write_text(block)
    settings = load_settings(tmp_path, SUPPORTED_KINDS)
    assert settings.warnings == ()
    assert names
    assert list(settings.executors) == names
