"""The Dockerfile, as far as no engine is needed: who the daemon is there, where its files are, and its health check."""

import json
import os
import re
import shlex
import subprocess
import sys

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the last stage, and what they are given."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]
    last = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return found[last + 1 :]


def only(word: str) -> str:
    (rest,) = (rest for each, rest in instructions() if each == word)
    return rest


def test_the_daemon_is_not_root() -> None:
    words = [word for word, _ in instructions()]
    assert (only("USER"), only("ARG")) == ("${UID}", "UID=1000")
    assert words.index("USER") > max(index for index, word in enumerate(words) if word in {"RUN", "COPY"})
    assert json.loads(only("ENTRYPOINT")) == ["stitcherd"]


def test_the_state_is_a_volume_and_the_port_is_that_of_the_shipped_settings() -> None:
    variables = dict(word.split("=", 1) for word in shlex.split(only("ENV")))
    environ = {name: variables[name] for name in ("STITCHER_CONFIG_DIR", "XDG_STATE_HOME")}
    tell = "from shared.locations import *; config = config_dir(None); print(config, state_dir(config))"
    found = subprocess.run(
        [sys.executable, "-c", tell], env=environ, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    config, state = found.stdout.split()
    assert only("VOLUME") == state
    assert any(word == "RUN" and f"{config} {state}" in rest for word, rest in instructions()), (
        "both belong to the user"
    )
    assert f'listen = "127.0.0.1:{only("EXPOSE")}"' in (ROOT / "config" / "stitcherd.toml").read_text("utf-8")


def test_the_health_check_tells_whether_the_daemon_answers(build: BuildDaemon) -> None:
    *_, command = only("HEALTHCHECK").partition("CMD ")
    program, *words = json.loads(command)
    assert program == "stitcher"
    daemon = build()

    def check() -> int:
        environ = os.environ | {"STITCHER_CONFIG_DIR": str(daemon.config)}
        argv = [sys.executable, "-m", "tui", *words]
        return subprocess.run(argv, env=environ, cwd=ROOT, capture_output=True, check=False, timeout=30).returncode

    process = daemon.start()
    assert check() == 0
    process.kill()
    process.wait()
    assert check() == 3
