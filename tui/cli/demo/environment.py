"""The demo's environment: a private directory with a git repository, a webhook secret, and the daemon's two files."""

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

REPOSITORY = "octo-org/api"
MEMBER = "octocat"
STRANGER = "drive-by"
BOT = "mosaic"
LEVELS = {MEMBER: "write", STRANGER: "read"}  # what accounts may do on the repository, as a forge says it
TRIES = 3

# A small package with two bugs and the tests that show them.
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

ACCOUNT_IDS = {BOT: 1, MEMBER: 2, STRANGER: 3}
_GIT_IDENTITY = {"NAME": "octocat", "EMAIL": "octocat@localhost"}
_REPORT_CAPABILITIES = ", issue:comment, status:set, change:open"
_REPORT = 'report: {acknowledge: reaction, thread: single-comment, status: "stitcher/{job}", change: open}\n'
_SOCKET = Path("run", "stitcherd.sock")
_NAME_BYTES = 32  # enough for "/stitcher-demo-" and the characters that mkdtemp adds


class DemoFailed(Exception):
    """The demo cannot continue; the message says what was expected."""


class ForgeAddress(Struct, frozen=True):
    """A forge: where its repositories and its API are, and a token for both."""

    url: str
    api: str
    token: str


class DemoEnvironment(Struct, frozen=True):
    """Where everything is; `base` is the first commit of `main`, `source` the source of the webhooks."""

    root: Path
    config: Path
    bare: Path
    base: str
    socket: Path
    log: Path
    port: int
    secret: str
    source: str
    sandboxed: bool  # whether the agent and the gate run in a sandbox


def create_directory() -> Path:
    """Create a directory that only this user can enter (0700), with a path short enough for a socket in it."""
    default = tempfile.gettempdir()
    fits = len(os.fsencode(default)) + _NAME_BYTES + len(os.fsencode(_SOCKET)) <= SOCKET_PATH_MAX
    return Path(tempfile.mkdtemp(prefix="stitcher-demo-", dir=default if fits else "/tmp")).resolve()  # noqa: S108 (made 0700)


def build_environment(root: Path, forge: ForgeAddress | None = None) -> DemoEnvironment:
    """Create the repository and the configuration in `root`; raises what `run_git` raises.

    With a `forge` the repository is reached there, and jobs are reported there. Without, it is a path.
    """
    environment = DemoEnvironment(
        root=root,
        config=root / "config",
        bare=root / "api.git",
        base=create_repository(root / "api.git", root / "seed"),
        socket=root / _SOCKET,
        log=root / "stitcherd.log",
        port=_free_port(),
        secret=secrets.token_hex(32),
        source="github" if forge is None else "gitea",
        sandboxed=bubblewrap.unavailable_reason() is None,
    )
    environment.config.mkdir()
    secret_file = _write_secret(environment.config / "webhook-secret", environment.secret)
    keys, clone = "", str(root / "{name}.git")
    if forge is not None:
        token_file = _write_secret(environment.config / "forge-token", forge.token)
        keys = f"api = {_quoted(forge.api)}\ntoken = {{file = {_quoted(token_file)}}}\n"
        clone = f"{forge.url}/{{owner}}/{{name}}.git"
    settings = _settings(environment, secret_file, keys, clone)
    (environment.config / SETTINGS_FILE).write_text(settings, "utf-8")
    rails = _rails(sandboxed=environment.sandboxed, reported=forge is not None)
    (environment.config / RAILS_FILE).write_text(rails, "utf-8")
    return environment


def account(login: str) -> dict[str, object]:
    """Return an account as a forge shows it."""
    return {"id": ACCOUNT_IDS[login], "login": login}


def _write_secret(file: Path, secret: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(secret, "utf-8")
    return file


def create_repository(bare: Path, seed: Path) -> str:
    """Create a bare repository with one commit of REPOSITORY_FILES on `main`; return that commit.

    `seed` is a directory to create for the work tree of that commit.
    """
    seed.mkdir()
    for name, text in REPOSITORY_FILES.items():
        (seed / name).write_text(text, "utf-8")
    run_git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(bare))
    here = (f"--git-dir={bare}", f"--work-tree={seed}")
    run_git(*here, "add", "--all")
    run_git(*here, "commit", "--quiet", "--message=Pages")
    return run_git(f"--git-dir={bare}", "rev-parse", "main").strip()


def run_git(*arguments: str) -> str:
    """Run git without the user's configuration, hooks and signing; return its stdout.

    Raises FileNotFoundError if git is missing, CalledProcessError if it fails.
    """
    finished = subprocess.run(
        ["git", *arguments], check=True, capture_output=True, text=True, encoding="utf-8", env=git_environment()
    )
    return finished.stdout


def daemon_environment() -> dict[str, str]:
    """Return the environment of the demo's daemon, without the user's settings of Stitcher and git."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("STITCHER_", "GIT_"))}


def git_environment() -> dict[str, str]:
    """Return the environment of git: without the user's configuration, with an identity for commits."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _GIT_IDENTITY.items()}
    return inherited | identity | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _settings(environment: DemoEnvironment, secret_file: Path, keys: str, clone: str) -> str:
    source = environment.source
    return f"""\
[daemon]
state_dir = {_quoted(environment.root / "state")}
socket = {_quoted(environment.socket)}
grace = "2s"
[http]
listen = "127.0.0.1:{environment.port}"
[sources.{source}]
kind = "{source}"
secrets = [{{file = {_quoted(secret_file)}}}]
bot = {_quoted(BOT)}
{keys}[repositories."octo-org/*"]
clone = {_quoted(clone)}
base = "main"
[executors.agent]
kind = "command"
argv = [{_quoted(sys.executable)}, "-I", {_quoted(agent.__file__)}]
"""


def _rails(*, sandboxed: bool, reported: bool) -> str:
    sandbox = _sandbox_keys(sandboxed=sandboxed)
    team = "permission: write" if reported else f'users: ["github:{MEMBER}"]'
    reports, report = (_REPORT_CAPABILITIES, _REPORT) if reported else ("", "")
    return f"""\
version: 1
people:
  team: {{{team}}}
profiles:
  weaver:
    {{capabilities: [repo:read, repo:write, git:commit, exec:run{reports}],
     executor: agent, timeout: 5m, {sandbox}}}
jobs:
  fix: {{profile: weaver, needs: [repo:write, git:commit], gates: [scope, tests], tries: {TRIES}}}
triggers:
  - id: fix-on-command
    on: [issue.comment, change.comment]
    command: fix
    repos: ["octo-org/*"]
    from: [team]
    job: fix
paths:
  tests: {{globs: ["test_*"], may: add, on_edit: require-approval}}
gates:
  scope: {{builtin: diff-rules}}
  tests:
    {{run: [{_quoted(sys.executable)}, -m, unittest, -v], expect: {{output: "^Ran [1-9][0-9]* tests? in "}},
     timeout: 1m, {sandbox}}}
{report}"""


def _sandbox_keys(*, sandboxed: bool) -> str:
    """Return the sandbox keys of a profile or gate in YAML flow style; mounts are what Python needs to run."""
    if not sandboxed:
        return "sandbox: none"
    needed = {Path(sys.prefix), Path(sys.base_prefix), Path(agent.__file__).parent}
    mounts = sorted(str(path) for path in needed if not path.is_relative_to("/usr"))
    return f"sandbox: bwrap, network: none, mounts: {json.dumps(mounts, ensure_ascii=False)}"


def _quoted(value: object) -> str:
    """Return a string quoted for both TOML and YAML: a JSON string is valid in either."""
    return json.dumps(str(value), ensure_ascii=False)
