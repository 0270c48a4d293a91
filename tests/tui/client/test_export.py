"""The pager."""

from pathlib import Path

import pytest

from tests.tui.fake_daemon import FakeDaemon
from tui.client import api
from tui.client.export import show_in_pager
from tui.client.http import DaemonClient
from tui.widgets.log_text import log_line


@pytest.mark.parametrize("pager", ["sh -c 'cat > {file}'", "sh -c 'head -c 100 > {file}'"])
def test_a_pager_gets_plain_text(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pager: str
) -> None:
    monkeypatch.setenv("PAGER", pager.format(file=tmp_path / "seen"))
    daemon.logs["s"] = b"\x1b]52;c;aGk=\x07\x1b[31mred\x1b[0m\n" + b"more\n" * 100_000
    show_in_pager(map(log_line, api.step_log(DaemonClient(daemon.path), "j", "s").lines()))
    seen = (tmp_path / "seen").read_text("utf-8")
    assert seen.startswith("\\x1b]52;c;aGk=\\x07red\nmore\n")
    assert "cat" not in pager or seen.count("more\n") == 100_000


def test_a_pager_that_stops_reading_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", f"tee {tmp_path}/read")
    show_in_pager(iter(["a", "b"]))
    assert (tmp_path / "read").read_text() == "a\nb\n"
    monkeypatch.setenv("PAGER", "true")
    show_in_pager(f"line {number}" for number in range(100_000))
