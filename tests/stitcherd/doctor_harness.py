"""Runs the check of a forge as the doctor does, against a fake of it."""

import asyncio
import json
from pathlib import Path
from typing import Any

from stitcherd import forge_check
from tests.forges.fake import FakeForge
from tests.forges.harness import serving

TOKEN_SETTING = 'token = {env = "TOKEN"}'
APP_SETTING = 'app = {id = "Iv23", key = {env = "PEM"}}'
SETTINGS = """
[sources.hub]
kind = "{kind}"
secrets = [{{env = "HOOK"}}]
api = "{api}"
{credential}
[executors.agent]
kind = "command"
argv = ["true"]
"""
RAILS = """
version: 1
people:
  team: {permission: write}
profiles:
  weaver:
    executor: agent
    capabilities: [repo:read, repo:write, git:commit, issue:comment, status:set, change:open]
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit]}
triggers:
  - {id: fix, on: [issue.comment], command: fix, from: [team], job: fix}
report: {acknowledge: reaction, thread: single-comment, status: "stitcher/{job}", change: open}
"""


async def run_check(
    directory: Path,
    fake: FakeForge,
    kind: str,
    capsys: Any,
    *argv: str,
    credential: str = TOKEN_SETTING,
    more: str = "",
) -> list[dict[str, Any]]:
    """Return what is found on source `hub`; `more` is added to the settings, in which {url} stands for the forge's."""
    async with serving(fake):
        text = SETTINGS.format(kind=kind, api=fake.api, credential=credential) + more.replace("{url}", fake.url)
        (directory / "stitcherd.toml").write_text(text)
        assert await asyncio.to_thread(forge_check.main, ["--config", str(directory), *argv, "hub", "absent"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def of_state(found: list[dict[str, Any]], *states: str) -> list[str]:
    """Return the details of the results with one of the states."""
    return [each["detail"] for each in found if each["state"] in states]
