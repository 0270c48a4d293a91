"""What the doctor finds out about the credential of a source: whose it is, its scopes, when it expires, the clock."""

import asyncio
import json
from email.utils import formatdate
from pathlib import Path

import pytest

from shared.ids import now_ms
from stitcherd import forge_check
from tests.forges.fake import Answer
from tests.forges.fake_github import FakeGitHub
from tests.forges.fake_gitlab import FakeGitLab
from tests.forges.harness import FAKES, TOKEN
from tests.stitcherd.doctor_harness import APP_SETTING, RAILS, of_state, run_check

EXPIRY = "GitHub-Authentication-Token-Expiration"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "a-webhook-secret")
    monkeypatch.setenv("TOKEN", TOKEN)


@pytest.mark.parametrize(
    ("kind", "expiry"),
    [("gitea", ""), ("github", ", expires 2026-12-24 00:00:00 UTC"), ("gitlab", ", expires 2026-12-24")],
)
async def test_whose_the_token_is_and_when_it_expires(tmp_path: Path, kind: str, expiry: str, capsys: Capture) -> None:
    fake = FAKES[kind]()
    fake.headers = {EXPIRY: "2026-12-24 00:00:00 UTC"}
    [found] = await run_check(tmp_path, fake, kind, capsys)  # there are no rails
    assert found == {"name": "forge hub", "state": "ok", "detail": f"mosaic#1{expiry}", "remedy": None}


async def test_a_token_that_is_not_accepted_and_a_clock_that_is_wrong(tmp_path: Path, capsys: Capture) -> None:
    fake = FakeGitHub()
    fake.tokens.clear()
    fake.headers = {"Date": formatdate(now_ms() / 1000 - 600, usegmt=True)}
    refused, clock = await run_check(tmp_path, fake, "github", capsys)
    assert refused["detail"] == "the token is not accepted: github answered 401: Bad credentials"
    assert clock["state"] == "warning"
    assert clock["detail"].endswith("s ahead of that of the forge")
    assert 598 <= int(clock["detail"].split()[3]) <= 602
    assert TOKEN not in str((refused, clock))


async def test_an_address_without_an_api(tmp_path: Path, capsys: Capture) -> None:
    fake = FakeGitHub()
    fake.faults = [Answer(404, {"message": "page not found"})]
    [found] = await run_check(tmp_path, fake, "github", capsys)
    assert (found["state"], found["detail"]) == ("problem", "github answered 404: page not found")
    assert found["remedy"] == "correct api of sources.hub in stitcherd.toml: no API of github is there"


async def test_a_key_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("PEM", "-----BEGIN PRIVATE KEY-----")
    fake = FakeGitHub()
    [found] = await run_check(tmp_path, fake, "github", capsys, credential=APP_SETTING)
    assert found["detail"].startswith("sources.hub.app: the key of the App is not a private key in PEM")
    assert fake.log == []


async def test_a_source_without_a_credential_is_left_out(tmp_path: Path, capsys: Capture) -> None:
    fake = FakeGitHub()
    assert await run_check(tmp_path, fake, "github", capsys, credential="") == []
    assert fake.log == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Answer(200, b"<html>sign in</html>", {"Content-Type": "text/html"}), "without JSON (text/html)"),
        (Answer(502, b"<html>bad gateway</html>"), "github answered 502"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "cannot be reached"),
    ],
)
async def test_a_forge_that_does_not_answer_as_it_should(
    tmp_path: Path, fault: Answer | bytes, words: str, capsys: Capture
) -> None:
    fake = FakeGitHub()
    fake.faults = [fault]
    [found] = await run_check(tmp_path, fake, "github", capsys)
    assert found["state"] == "problem"
    assert words in found["detail"]


async def test_a_forge_that_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(forge_check, "SECONDS_MAX", 0.05)
    fake = FakeGitHub()
    fake.faults = [5.0]
    [found] = await run_check(tmp_path, fake, "github", capsys)
    assert (found["state"], found["detail"]) == ("warning", "not everything was checked within 0.05 s")


async def test_a_forge_that_is_down(tmp_path: Path, capsys: Capture) -> None:
    settings = '[sources.hub]\nkind = "gitea"\nsecrets = [{env = "HOOK"}]\n'
    settings += 'api = "http://127.0.0.1:1/api/v1"\ntoken = {env = "TOKEN"}\n'
    (tmp_path / "stitcherd.toml").write_text(settings)
    assert await asyncio.to_thread(forge_check.main, ["--config", str(tmp_path), "hub"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == "problem"
    assert found["detail"].startswith("127.0.0.1 cannot be reached")


async def test_the_scopes_of_a_classic_token_and_of_one_of_gitlab(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "rails.yaml").write_text(RAILS)
    github = FakeGitHub()
    github.headers = {"X-OAuth-Scopes": "read:org, gist"}
    [wrong] = of_state(await run_check(tmp_path, github, "github", capsys), "problem")
    assert wrong == "the token cannot add reactions, comment, set statuses, open changes: its scopes are gist, read:org"
    github.headers = {"X-OAuth-Scopes": "repo, workflow"}
    assert of_state(await run_check(tmp_path, github, "github", capsys), "problem", "info") == []
    gitlab = FakeGitLab()
    gitlab.scopes = ["read_api"]
    found = await run_check(tmp_path, gitlab, "gitlab", capsys)
    assert [each["remedy"] for each in found if each["state"] == "problem"] == ["create one with the scope api"]


@pytest.mark.parametrize("kind", ["github", "gitea"])
async def test_scopes_that_the_forge_does_not_tell(tmp_path: Path, kind: str, capsys: Capture) -> None:
    (tmp_path / "rails.yaml").write_text(RAILS)
    [told] = of_state(await run_check(tmp_path, FAKES[kind](), kind, capsys), "info")
    assert told.startswith(f"{kind} does not tell whether this token may add reactions, comment, set statuses")


def test_settings_that_cannot_be_read(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "stitcherd.toml").write_text("[sources]\nhub = 3")
    assert forge_check.main(["--config", str(tmp_path), "hub"]) == 2
    assert capsys.readouterr().err.startswith("stitcherd.toml:2: ")
