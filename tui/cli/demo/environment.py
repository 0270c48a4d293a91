"""The demo's stage: one private directory with a repository, a key made for this run, and the daemon's two files."""

import json
import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

from shared.locations import RAILS, SETTINGS, SOCKET_LIMIT
from tui import bubblewrap
from tui.demo import agent, repository

REPOSITORY = "octo-org/api"
MEMBER = "octocat"
BOT = "mosaic"
TRIES = 3

_SOCKET = Path("run", "stitcherd.sock")
_NAME_ROOM = 32  # bytes of "/stitcher-demo-" and mkdtemp's own letters, and some to spare


class Stage(Struct, frozen=True):
    """Where everything is; `base` is the commit that `main` began with."""

    root: Path
    config: Path
    bare: Path
    base: str
    socket: Path
    log: Path
    port: int
    secret: str
    boxed: bool  # whether the agent and the gate run in a sandbox


def directory() -> Path:
    """Make a directory that only this user can enter (0700), with a name short enough for a socket in it."""
    usual = tempfile.gettempdir()
    fits = len(os.fsencode(usual)) + _NAME_ROOM + len(os.fsencode(_SOCKET)) <= SOCKET_LIMIT
    return Path(tempfile.mkdtemp(prefix="stitcher-demo-", dir=usual if fits else "/tmp")).resolve()  # noqa: S108 (made 0700)


def build(root: Path) -> Stage:
    """Fill the directory; raises what `repository.git` raises."""
    stage = Stage(
        root=root,
        config=root / "config",
        bare=root / "api.git",
        base=repository.create(root / "api.git", root / "seed"),
        socket=root / _SOCKET,
        log=root / "stitcherd.log",
        port=_free_port(),
        secret=secrets.token_hex(32),
        boxed=bubblewrap.fault() is None,
    )
    stage.config.mkdir()
    key = stage.config / "webhook-secret"
    key.touch(mode=0o600)
    key.write_text(stage.secret, "utf-8")
    (stage.config / SETTINGS).write_text(_settings(stage, key), "utf-8")
    (stage.config / RAILS).write_text(_rails(boxed=stage.boxed), "utf-8")
    return stage


def _sandbox(*, boxed: bool) -> str:
    """Return the sandbox's keys in flow style; what Python needs to run must be shown inside."""
    if not boxed:
        return "sandbox: none"
    shown = {Path(sys.prefix), Path(sys.base_prefix), Path(agent.__file__).parent}
    mounts = sorted(str(path) for path in shown if not path.is_relative_to("/usr"))
    return f"sandbox: bwrap, network: none, mounts: {json.dumps(mounts, ensure_ascii=False)}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _settings(stage: Stage, key: Path) -> str:
    return f"""\
[daemon]
state_dir = {_quoted(stage.root / "state")}
socket = {_quoted(stage.socket)}
grace = "2s"
[http]
listen = "127.0.0.1:{stage.port}"
[sources.github]
kind = "github"
secrets = [{{file = {_quoted(key)}}}]
bot = {_quoted(BOT)}
[repositories."octo-org/*"]
clone = {_quoted(stage.root / "{name}.git")}
base = "main"
[executors.agent]
kind = "command"
argv = [{_quoted(sys.executable)}, "-I", {_quoted(agent.__file__)}]
"""


def _rails(*, boxed: bool) -> str:
    sandbox = _sandbox(boxed=boxed)
    return f"""\
version: 1
people:
  team: {{users: ["github:{MEMBER}"]}}
profiles:
  weaver:
    {{capabilities: [repo:read, repo:write, git:commit, exec:run], executor: agent, timeout: 5m, {sandbox}}}
jobs:
  fix: {{profile: weaver, needs: [repo:write, git:commit], gates: [tests], tries: {TRIES}}}
triggers:
  - id: fix-on-command
    on: [issue.comment, change.comment]
    command: fix
    repos: ["octo-org/*"]
    from: [team]
    job: fix
gates:
  tests: {{run: [{_quoted(sys.executable)}, -m, unittest, -v], timeout: 1m, {sandbox}}}
"""


def _quoted(value: object) -> str:
    """Return a string as both TOML and YAML read it: JSON's way is a part of either."""
    return json.dumps(str(value), ensure_ascii=False)
