"""The demo's stage: one private directory with a repository, a key made for this run, and the daemon's two files."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

from shared.locations import RAILS_FILE, SETTINGS_FILE, SOCKET_PATH_MAX
from tui.cli import bubblewrap
from tui.cli.demo import agent

# merged from tui.demo.repository: The demo's git repository: a tiny package with two bugs and the tests that
# show them; made by git alone.

REPOSITORY_FILES = {
    ".gitignore": "__pycache__/\n",
    "pages.py": '''"""Cut rows into pages."""


def page(rows, number, size):
    """Return page `number`, counted from 1, of `size` rows."""
    start = (number - 1) * size
    return rows[start : start + size - 1]


def pages(rows, size):
    """Return how many pages the rows fill."""
    return len(rows) // size
''',
    "test_pages.py": """import unittest

from pages import page, pages

ROWS = list(range(25))


class PagesTest(unittest.TestCase):
    def test_a_page_has_its_last_row(self):
        self.assertEqual(page(ROWS, 2, 10), ROWS[10:20])

    def test_a_half_full_page_counts(self):
        self.assertEqual(pages(ROWS, 10), 3)

    def test_no_rows_fill_no_page(self):
        self.assertEqual(pages([], 10), 0)
""",
}

_GIT_IDENTITY = {"NAME": "octocat", "EMAIL": "octocat@localhost"}


def create_repository(bare: Path, seed: Path) -> str:
    """Make a bare repository whose `main` holds FILES, by way of the directory `seed`; return the commit."""
    seed.mkdir()
    for name, text in REPOSITORY_FILES.items():
        (seed / name).write_text(text, "utf-8")
    run_git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(bare))
    here = (f"--git-dir={bare}", f"--work-tree={seed}")
    run_git(*here, "add", "--all")
    run_git(*here, "commit", "--quiet", "--message=Pages")
    return run_git(f"--git-dir={bare}", "rev-parse", "main").strip()


def run_git(*arguments: str) -> str:
    """Return what git prints; nothing of the user's configuration, hooks or signing takes part.

    Raises FileNotFoundError without git, CalledProcessError where it fails.
    """
    finished = subprocess.run(
        ["git", *arguments], check=True, capture_output=True, text=True, encoding="utf-8", env=_git_environment()
    )
    return finished.stdout


def _git_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _GIT_IDENTITY.items()}
    return kept | who | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8"}


REPOSITORY = "octo-org/api"
MEMBER = "octocat"
BOT = "mosaic"
TRIES = 3

_SOCKET = Path("run", "stitcherd.sock")
_NAME_ROOM = 32  # bytes of "/stitcher-demo-" and mkdtemp's own letters, and some to spare


class DemoEnvironment(Struct, frozen=True):
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


def create_directory() -> Path:
    """Make a directory that only this user can enter (0700), with a name short enough for a socket in it."""
    usual = tempfile.gettempdir()
    fits = len(os.fsencode(usual)) + _NAME_ROOM + len(os.fsencode(_SOCKET)) <= SOCKET_PATH_MAX
    return Path(tempfile.mkdtemp(prefix="stitcher-demo-", dir=usual if fits else "/tmp")).resolve()  # noqa: S108 (made 0700)


def build_environment(root: Path) -> DemoEnvironment:
    """Fill the directory; raises what `repository.git` raises."""
    stage = DemoEnvironment(
        root=root,
        config=root / "config",
        bare=root / "api.git",
        base=create_repository(root / "api.git", root / "seed"),
        socket=root / _SOCKET,
        log=root / "stitcherd.log",
        port=_free_port(),
        secret=secrets.token_hex(32),
        boxed=bubblewrap.unavailable_reason() is None,
    )
    stage.config.mkdir()
    key = stage.config / "webhook-secret"
    key.touch(mode=0o600)
    key.write_text(stage.secret, "utf-8")
    (stage.config / SETTINGS_FILE).write_text(_settings(stage, key), "utf-8")
    (stage.config / RAILS_FILE).write_text(_rails(boxed=stage.boxed), "utf-8")
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


def _settings(stage: DemoEnvironment, key: Path) -> str:
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
