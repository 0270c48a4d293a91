"""The checks of the forges' APIs, with the process that asks and a forge that answers."""

import asyncio
from email.utils import formatdate
from pathlib import Path

import pytest

from shared.checks import CheckResult, CheckState
from shared.ids import now_ms
from tests.forges.fake_github import FakeGitHub
from tests.forges.harness import TOKEN, serving
from tests.tui import documents
from tests.tui.fake_api import FakeApi
from tui.cli.doctor.files import check_files
from tui.cli.doctor.forges import check_forges
from tui.cli.doctor.settings import read_settings
from tui.client.http import DaemonClient


async def examined(
    config: Path, fake: FakeGitHub, credential: str, client: DaemonClient | None = None
) -> list[CheckResult]:
    async with serving(fake):
        file = config / "stitcherd.toml"
        api = f'[sources.github]\napi = "{fake.api}"\n{credential}\n'
        file.write_text(file.read_text().replace("[sources.github]\n", api))
        return await asyncio.to_thread(lambda: list(check_forges(config, read_settings(config), client)))


async def test_whose_the_token_is_and_when_it_expires(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    fake = FakeGitHub()
    fake.headers = {"GitHub-Authentication-Token-Expiration": "2026-12-24 00:00:00 UTC"}
    [result] = await examined(config, fake, 'token = {env = "TOKEN"}')
    assert (result.name, result.state) == ("forge github", CheckState.OK)
    assert result.detail == "mosaic#1, expires 2026-12-24 00:00:00 UTC"


async def test_a_token_that_is_not_accepted_and_a_slow_clock(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "another-token")
    fake = FakeGitHub()
    fake.headers = {"Date": formatdate(now_ms() / 1000 + 600, usegmt=True)}
    refused, clock = await examined(config, fake, 'token = {env = "TOKEN"}')
    assert (refused.state, clock.state) == (CheckState.PROBLEM, CheckState.WARNING)
    assert refused.detail == "the token is not accepted: github answered 401: Bad credentials"
    assert refused.remedy == "check sources.github in stitcherd.toml"
    assert "s behind that of the forge" in clock.detail


@pytest.mark.parametrize("credential", ['token = {env = "TOKEN"}', 'app = {id = "Iv23", key = {env = "TOKEN"}}'])
async def test_a_forge_whose_secret_is_not_set_here_is_not_asked(
    config: Path, monkeypatch: pytest.MonkeyPatch, credential: str
) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    fake = FakeGitHub()
    [result] = await examined(config, fake, credential)
    assert result.state is CheckState.INFO
    assert fake.log == []
    settings = read_settings(config)
    assert [secret.env for secret in settings.unset] == ["TOKEN"]
    assert CheckState.PROBLEM not in {each.state for each in check_files(config, settings)}


def test_without_an_api_nothing_is_checked(config: Path) -> None:
    assert list(check_forges(config, read_settings(config))) == []


@pytest.mark.parametrize(
    ("deliveries", "seen"),
    [
        ([documents.DELIVERY | {"source": "github", "repository": "octo-org/api"}] * 2, "octo-org/api: mosaic can "),
        ([documents.DELIVERY | {"source": "bot", "repository": "octo-org/api"}], "octo-org/* is a pattern, "),
        ([documents.DELIVERY | {"repository": None}], "octo-org/* is a pattern, "),
        (None, "octo-org/* is a pattern, "),
    ],
)
async def test_a_pattern_is_checked_by_the_latest_deliveries(
    config: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch, deliveries: list[documents.Document] | None, seen: str
) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    if deliveries is not None:
        api.answers["GET /deliveries"] = 200, {"items": deliveries, "next": None}
    with (config / "stitcherd.toml").open("a") as file:
        file.write('[repositories."octo-org/*"]\nclone = "/nowhere/{name}.git"\n')
    results = await examined(config, FakeGitHub(), 'token = {env = "TOKEN"}', DaemonClient(api.path))
    found = [each for each in results if "octo-org" in each.detail]
    assert [each.detail[: len(seen)] for each in found] == [seen]
