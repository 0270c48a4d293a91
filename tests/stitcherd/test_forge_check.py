"""What is reported to the doctor about the APIs of sources."""

import asyncio
import json
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from shared.ids import now_ms
from stitcherd import forge_check
from tests.forges.fake import FakeForge
from tests.forges.fake_github import FakeGitHub
from tests.forges.harness import FAKES, TOKEN, serving

SOURCE = '[sources.{name}]\nkind = "{kind}"\nsecrets = [{{env = "HOOK"}}]\napi = "{api}"\n'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "a-webhook-secret")
    monkeypatch.setenv("TOKEN", TOKEN)


async def report(directory: Path, fake: FakeForge, kind: str, credential: str, capsys: Any) -> list[dict[str, Any]]:
    async with serving(fake):
        text = SOURCE.format(name="hub", kind=kind, api=fake.api) + credential
        (directory / "stitcherd.toml").write_text(text)
        argv = ["--config", str(directory), "hub", "absent"]
        assert await asyncio.to_thread(forge_check.main, argv) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("kind", FAKES)
async def test_whose_the_token_is(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    fake = FAKES[kind]()
    fake.headers = {"GitHub-Authentication-Token-Expiration": "2026-12-24 00:00:00 UTC"}
    [found] = await report(tmp_path, fake, kind, 'token = {env = "TOKEN"}', capsys)
    assert (found["login"], found["id"], found["error"]) == ("mosaic", "1", None)
    assert found["expires"] == "2026-12-24 00:00:00 UTC"
    assert abs(found["clockAhead"]) <= 2


async def test_a_token_that_is_not_accepted_and_a_clock_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakeGitHub()
    fake.tokens.clear()
    fake.headers = {"Date": formatdate(now_ms() / 1000 - 600, usegmt=True)}
    [found] = await report(tmp_path, fake, "github", 'token = {env = "TOKEN"}', capsys)
    assert found["error"] == "the token is not accepted: github answered 401: Bad credentials"
    assert 598 <= found["clockAhead"] <= 602
    assert TOKEN not in str(found)


async def test_a_key_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEM", "-----BEGIN PRIVATE KEY-----")
    fake = FakeGitHub()
    [found] = await report(tmp_path, fake, "github", 'app = {id = "Iv23", key = {env = "PEM"}}', capsys)
    assert found["error"].startswith("sources.hub.app: the key of the App is not a private key in PEM")
    assert fake.log == []


async def test_a_source_without_a_credential_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeGitHub()
    assert await report(tmp_path, fake, "github", "", capsys) == []
    assert fake.log == []


async def test_a_forge_that_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SOURCE.format(name="hub", kind="gitea", api="http://127.0.0.1:1/api/v1") + 'token = {env = "TOKEN"}'
    (tmp_path / "stitcherd.toml").write_text(text)
    assert await asyncio.to_thread(forge_check.main, ["--config", str(tmp_path), "hub"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["error"].startswith("127.0.0.1 cannot be reached")
    assert (found["login"], found["clockAhead"]) == (None, None)


def test_settings_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stitcherd.toml").write_text("[sources]\nhub = 3")
    assert forge_check.main(["--config", str(tmp_path), "hub"]) == 2
    assert capsys.readouterr().err.startswith("stitcherd.toml:2: ")
