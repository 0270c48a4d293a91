"""The checks of the daemon, its socket and its listener."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.checks import CheckResult, CheckState
from tests.e2e.harness import free_port
from tests.tui.fake_api import FakeApi
from tests.tui.fake_daemon import PULSE
from tui.cli.doctor import daemon
from tui.cli.doctor import settings as doctor_settings
from tui.client.http import DaemonClient

META = {"version": "0.1.0", "api": "1", "instance": "i", "pid": 7, "startedAt": "2099-11-22T14:02:11.284Z"}

NOT_PAUSED: dict[str, Any] = {"paused": False, "since": None, "actor": None, "reason": None, "running": [], "queued": 0}


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_the_daemons_own_state_is_reported(api: FakeApi, config: Path) -> None:
    api.answers["GET /meta"] = 200, {**META, "version": "0.0.9", "startedAt": "2001-11-22T14:02:11.284Z"}
    away = {"name": "executor:agent", "ok": False, "detail": "connection \x1b[31mrefused", "since": "then"}
    held = {"name": "forge:hub", "ok": False, "detail": "the token is not accepted", "since": "then"}
    api.answers["GET /readyz"] = 503, {"ready": False, "checks": [away, held]}
    api.answers["GET /pause"] = 200, {**NOT_PAUSED, "paused": True, "actor": "uid:0", "since": "then", "queued": 3}
    api.answers["GET /pulse"] = 200, {**PULSE, "refusedSignatures": {"gith\x1bub": 3}}
    there = DaemonClient(api.path)
    meta, results = daemon.check_meta(there)
    assert meta is not None
    found = {result.name: result for result in [*results, *daemon.check_readiness(there, meta, config)]}
    assert (found["daemon"].state, "this client is 0.1.0" in found["daemon"].detail) == (CheckState.WARNING, True)
    assert found["ready: executor agent"].detail == r"connection \x1b[31mrefused, since then"
    assert found["ready: executor agent"].state is CheckState.PROBLEM
    assert (found["ready: forge hub"].remedy or "").startswith("check sources.hub in stitcherd.toml; ")
    assert (found["pause"].state, found["pause"].remedy) == (CheckState.WARNING, "stitcher resume")
    signatures = found["signatures"]
    assert signatures.state is CheckState.WARNING
    assert signatures.detail == r"gith\x1bub: 3 webhooks with a wrong signature refused since the start"
    assert "sources.gith" in (signatures.remedy or "")
    assert "after the daemon read it" in found["stitcherd.toml"].detail


def test_the_socket(tmp_path: Path) -> None:
    place = tmp_path / "run" / "s"
    place.parent.mkdir(mode=0o700)

    def found(*, answers: bool = False) -> list[CheckResult]:
        return list(daemon.check_socket(place, answers=answers))

    assert [each.state for each in found()] == [CheckState.OK]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.close()
    assert ["nothing answers" in each.detail for each in found()] == [True]
    place.chmod(0o666)
    assert [each.remedy for each in found(answers=True)] == [f"chmod 600 {place}"]
    place.unlink()
    place.touch()
    assert ["is not a socket" in each.detail for each in found()] == [True]
    place.parent.chmod(0o1777)
    assert ["is shared with others" in each.detail for each in found()] == [True]


@pytest.mark.parametrize(
    ("hosts", "urls"),
    [
        ([], ["http://127.0.0.1:1/stitcher/webhook/github", "http://127.0.0.1:1/stitcher/webhook"]),
        (["localhost", "hooks.example"], ["https://hooks.example/stitcher/webhook/github", "https://hooks.example/stitcher/webhook"]),
    ],
)  # fmt: skip
def test_each_source_has_its_url(config: Path, hosts: list[str], urls: list[str]) -> None:
    settings = doctor_settings.read_settings(config)
    settings = doctor_settings.SettingsSummary(settings.sources, {}, (), "127.0.0.1:1", tuple(hosts))
    results = list(daemon.check_webhooks(settings))
    assert all(f"→ {url}" in result.detail for url, result in zip(urls, results, strict=True))
    assert (results[0].remedy is None) == bool(hosts)


def test_a_source_that_is_asked_needs_no_webhook(config: Path) -> None:
    source = '[sources.{name}]\nkind = "github"\npull = "60s"\n'
    both = source.format(name="both") + 'secrets = [{env = "GOOD"}]\n'
    (config / "stitcherd.toml").write_text(source.format(name="hub") + both)
    asked, told = daemon.check_webhooks(doctor_settings.read_settings(config))
    assert (asked.detail, asked.remedy) == ("hub (github) is asked what happened every 60s: none is needed", None)
    assert "/stitcher/webhook/both" in told.detail
    assert told.detail.endswith("; it is asked every 60s too")
    assert told.remedy is None, "nothing has to reach the daemon"


def test_a_port_that_another_program_uses(used_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_PROBE_TIMEOUT", 0.2)
    settings = doctor_settings.SettingsSummary({}, {}, (), f"127.0.0.1:{used_port}", ())
    (result,) = daemon.check_listener(settings, daemon_runs=False)
    assert (result.state, "something else" in result.detail) == (CheckState.PROBLEM, True)
    settings = doctor_settings.SettingsSummary({}, {}, (), f"127.0.0.1:{free_port()}", ())
    assert [each.state for each in daemon.check_listener(settings, daemon_runs=False)] == [CheckState.OK]
    assert [each.state for each in daemon.check_listener(settings, daemon_runs=True)] == [CheckState.PROBLEM]
