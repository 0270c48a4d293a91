"""The demo's daemon: a start that fails, a stop that must be forced."""

import sys
import time
from pathlib import Path

import pytest

from tui.cli.demo import daemon, environment
from tui.cli.demo.daemon import DemoFailed


@pytest.fixture
def demo_environment(tmp_path: Path) -> environment.DemoEnvironment:
    return environment.build_environment(tmp_path)


def test_a_daemon_that_ends_early_leaves_its_log(demo_environment: environment.DemoEnvironment) -> None:
    process = daemon.start(demo_environment, (sys.executable, "-c", "import sys; sys.exit('stitcherd.toml:3: no')"))
    with pytest.raises(DemoFailed, match="ended with exit code 1"):
        daemon.wait_until_ready(demo_environment, process)
    assert daemon.log_tail(demo_environment) == ["stitcherd.toml:3: no"]


def test_a_daemon_that_ignores_sigterm_is_killed(
    demo_environment: environment.DemoEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "_STOP_TIMEOUT", 0.2)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    process = daemon.start(demo_environment, (sys.executable, "-c", stubborn))
    while not daemon.log_tail(demo_environment):
        time.sleep(0.01)
    daemon.stop(process)
    assert process.returncode == -9
