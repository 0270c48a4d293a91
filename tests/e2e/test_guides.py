"""The configurations in docs/forges.md are valid as they stand there, and nothing in them has to be warned of."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stitcherd.forge_rights import needed_calls
from stitcherd.forges import FORGES as KINDS_OF_FORGES
from stitcherd.forges.models import ForgeAccount
from stitcherd.gates import BUILTINS
from stitcherd.rails.load import parse_rails
from stitcherd.rails.validate import RailsContext
from tests.e2e.harness import ROOT
from tests.e2e.http_client import TIMEOUT

PAGE = (ROOT / "docs" / "forges.md").read_text("utf-8")
COMMON, *FORGES = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(RAILS,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
KINDS = [re.findall(r'^kind = "(\w+)"', block, re.MULTILINE)[0] for block in FORGES]


def test_there_is_a_part_for_each_kind_of_forge() -> None:
    assert KINDS == ["github", "github", "gitea", "gitlab"]
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert headings[:3] == ["GitHub", "Gitea and Forgejo", "GitLab"]


@pytest.mark.parametrize("block", FORGES, ids=[f"{kind}-{at}" for at, kind in enumerate(KINDS)])
def test_the_configuration_of_a_forge_is_valid(tmp_path: Path, block: str) -> None:
    key = tmp_path / "app.pem"
    key.touch(mode=0o600)
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    common = COMMON.replace('"claude"', '"sh"')  # which is everywhere
    state = f'[daemon]\nstate_dir = "{tmp_path / "state"}"\n'
    (tmp_path / "stitcherd.toml").write_text(state + common + block.replace("/etc/stitcher/app.pem", str(key)))
    (tmp_path / "rails.yaml").write_text(RAILS)
    secrets = dict.fromkeys(re.findall(r'env = "(\w+)"', block), "a-secret-of-some-length")
    checked = subprocess.run(
        [sys.executable, "-m", "stitcherd", "--check", "--config", str(tmp_path)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **secrets},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stderr == ""


@pytest.mark.parametrize("app", [False, True])
def test_the_permissions_at_github_are_those_that_the_rails_need(app: bool) -> None:
    rails = parse_rails(RAILS, RailsContext(BUILTINS))
    calls = needed_calls(KINDS_OF_FORGES["github"], rails, ForgeAccount("1", "mosaic"), "o/n", app=app)
    needed = {("contents", "write")}.union(*(call.request.permissions.items() for call in calls))
    rows = re.findall(r"^\| (.*?) \| (read|write) \| (.*?) \|$", PAGE, re.MULTILINE)
    told = {(name, access) for names, access, why in rows for name in names.split(", ") if "optional" not in why}
    if app:
        assert "Checks: write instead of Commit statuses" in " ".join(PAGE.split())
        told = told - {("Commit statuses", "write")} | {("Checks", "write")}
    words = {(name.replace("Commit ", "").replace(" ", "_").lower(), access) for name, access in told}
    assert words == needed
