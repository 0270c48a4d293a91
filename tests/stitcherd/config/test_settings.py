"""Valid settings: defaults, paths, secrets, repositories and warnings."""

import os
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.locations import SocketPathTooLong
from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.settings import Settings
from stitcherd.config.types import SettingsContext, SupportedKinds
from stitcherd.configuration import SUPPORTED_KINDS

CONFIG = Path(__file__).parents[3] / "config"
SHA = "A1" * 32


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STITCHER_SOCKET", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("FIRST", "first-secret")
    monkeypatch.setenv("SECOND", "second-secret-longer")
    monkeypatch.setenv("TINY", "tiny")


def read(directory: Path, text: str) -> Settings:
    (directory / "stitcherd.toml").write_text(text)
    return load_settings(directory, SUPPORTED_KINDS)


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, SUPPORTED_KINDS)
    assert settings.missing
    assert settings.daemon.state_dir == Path("/home/ann/.local/state/stitcher")
    assert settings.daemon.socket == Path("/home/ann/.local/state/stitcher/run/stitcherd.sock")
    assert (settings.daemon.workers, settings.daemon.grace, settings.daemon.log_max) == (4, 30.0, 2**26)
    assert (settings.retention.events, settings.retention.dedupe) == (90 * 86400, 180 * 86400)
    assert (settings.http.host, settings.http.port, settings.http.max_body) == ("127.0.0.1", 8466, 2**20)
    assert (settings.sources, settings.repositories, settings.executors, settings.tokens) == ({}, (), {}, ())


def test_the_shipped_file_has_the_defaults(tmp_path: Path) -> None:
    assert load_settings(CONFIG, SUPPORTED_KINDS) == load_settings(tmp_path, SUPPORTED_KINDS).model_copy(
        update={"missing": False}
    )


def test_the_examples_in_the_shipped_file_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_WEBHOOK_SECRET", "GITHUB_TOKEN", "OPENCLAW_GATEWAY_TOKEN"):
        monkeypatch.setenv(name, f"value-of-{name}")
    text = re.sub(r"^#(?! )", "", (CONFIG / "stitcherd.toml").read_text(), flags=re.MULTILINE)
    settings = read(tmp_path, text)
    assert settings.daemon == load_settings(CONFIG, SUPPORTED_KINDS).daemon
    assert set(settings.sources) == {"github"}
    assert {name: executor.kind for name, executor in settings.executors.items()} == {
        "agent": "command",
        "openclaw": "openclaw",
    }
    assert [len(token.permissions) for token in settings.tokens] == [7]
    assert [target.on for target in settings.notify] == [("job.failed", "job.waiting", "source.held")]
    assert settings.secret_names == {"GITHUB_WEBHOOK_SECRET", "GITHUB_TOKEN", "OPENCLAW_GATEWAY_TOKEN"}


def test_relative_paths_start_at_the_config_dir_and_the_socket_follows_the_flag(tmp_path: Path) -> None:
    settings = read(tmp_path, '[daemon]\nstate_dir = "state"\nsocket = "s"\ngrace = "0s"\nlog_max = 4096')
    assert settings.daemon.state_dir == tmp_path / "state"
    assert settings.daemon.checkouts_dir == tmp_path / "state/checkouts"
    elsewhere = read(tmp_path, '[daemon]\nstate_dir = "state"\ncheckouts = "fast"').daemon.checkouts_dir
    assert (elsewhere.parent, elsewhere.name[:9]) == (tmp_path / "fast", "stitcher-")
    assert read(tmp_path, '[daemon]\nstate_dir = "other"\ncheckouts = "fast"').daemon.checkouts_dir != elsewhere
    assert settings.daemon.socket == tmp_path / "s"
    assert (settings.daemon.grace, settings.daemon.log_max) == (0.0, 4096)
    assert load_settings(tmp_path, SUPPORTED_KINDS, socket="/flag").daemon.socket == Path("/flag")


def test_a_socket_path_that_the_kernel_refuses_is_refused_unless_the_flag_gives_another(tmp_path: Path) -> None:
    with pytest.raises(SocketPathTooLong):
        read(tmp_path, f'[daemon]\nsocket = "/{"s" * 120}"')
    assert load_settings(tmp_path, SUPPORTED_KINDS, socket="/flag").daemon.socket == Path("/flag")


@pytest.mark.parametrize(
    ("listen", "host", "port", "warned"),
    [
        ("[::1]:8466", "::1", 8466, False),
        ("localhost:0", "localhost", 0, False),
        ("127.9.9.9:65535", "127.9.9.9", 65535, False),
        ("0.0.0.0:80", "0.0.0.0", 80, True),
        ("[::]:80", "::", 80, True),
    ],
)
def test_any_address_may_be_listened_on_with_a_warning_outside_of_loopback(
    tmp_path: Path, listen: str, host: str, port: int, warned: bool
) -> None:
    settings = read(
        tmp_path, f'[http]\nhosts = ["Hooks.Example.", "[2001:DB8:0::1]", "::ffff:10.0.0.1"]\nlisten = "{listen}"'
    )
    assert (settings.http.host, settings.http.port) == (host, port)
    assert settings.http.hosts == ("hooks.example", "2001:db8::1", "10.0.0.1")
    assert [line.startswith("stitcherd.toml:3: ") for line in settings.warnings] == [True] * warned


def test_secrets_come_from_variables_and_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"in a file\n\n")
    secret.chmod(0o600)
    settings = read(
        tmp_path,
        '[sources.hub]\nkind = "github"\napi = "http://[::1]:80/"\ntoken = {env = "SECOND"}\n'
        'secrets = [{env = "FIRST"}, {file = "secret"}, {env = "TINY"}]\n',
    )
    source = settings.sources["hub"]
    assert (source.name, source.kind, source.bot, source.workspace) == ("hub", "github", "mosaic", "default")
    assert source.secrets == (b"first-secret", b"in a file\n", b"tiny")
    assert source.token == "second-secret-longer"
    assert settings.secret_names == {"FIRST", "SECOND", "TINY"}
    assert settings.secret_values == (b"second-secret-longer", b"first-secret", b"in a file\n")
    assert settings.warnings == ("stitcherd.toml:5: the secret begins or ends with white space",)


def test_no_secret_is_shown_by_a_model(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        '[sources.hub]\nkind = "mosaic"\nsecrets = [{env = "FIRST"}]\ntoken = {env = "SECOND"}\n'
        '[executors.claw]\nkind = "openclaw"\nurl = "wss://claw"\ntoken = {env = "SECOND"}',
    )
    assert "secret" not in re.sub("secret_names|secrets", "", repr(settings) + str(settings.sources["hub"]))


def test_a_secret_that_everyone_can_read_is_warned_of_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("everyone's")
    (tmp_path / "open").chmod(0o644)
    settings = read(
        tmp_path,
        '[sources.hub]\nkind = "gitea"\napi = "https://hub/api/"\nsecrets = [\n  {env = "FIRST"},\n  {file = "open"}]',
    )
    assert settings.sources["hub"].api == "https://hub/api"
    (everyone,) = settings.warnings
    assert everyone == "stitcherd.toml:6: every user of this machine can read open"


def test_a_secret_with_white_space_at_its_ends_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWLINE", "from an env file\n")
    for name, text in {"two": "secret\n\n", "one": "secret\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    settings = read(
        tmp_path,
        '[sources.hub]\nkind = "github"\nsecrets = [\n  {env = "FIRST"},\n  {env = "NEWLINE"},\n'
        '  {file = "two"},\n  {file = "one"}]',
    )
    assert settings.warnings == (
        "stitcherd.toml:5: the secret begins or ends with white space",
        "stitcherd.toml:6: the secret begins or ends with white space",
    )


@pytest.mark.parametrize("kind", ["mosaic", "github", "gitea", "gitlab", "standard"])
def test_every_kind_of_source_loads(tmp_path: Path, kind: str) -> None:
    text = f'[sources.healthz]\nkind = "{kind}"\nsecrets = [{{env = "FIRST"}}]'
    assert read(tmp_path, text).sources["healthz"].kind == kind


def test_both_kinds_of_executor_load(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        '[executors.agent]\nkind = "command"\nargv = ["run", ""]\n[executors.claw]\nkind = "openclaw"\nurl = "ws://[::1]:1"',
    )
    assert settings.executors["agent"].argv == ("run", "")
    assert (settings.executors["claw"].url, settings.executors["claw"].token) == ("ws://[::1]:1", None)


class Keys(NamedTuple):
    required_keys: frozenset[str]
    optional_keys: frozenset[str] = frozenset()


def test_a_new_kind_needs_only_an_entry_in_its_table(tmp_path: Path) -> None:
    (tmp_path / "stitcherd.toml").write_text(
        "[sources.a]\nkind = 'post'\nsecrets = [{env = 'FIRST'}]\n[executors.b]\nkind = 'http'\nurl = 'ws://x'\n"
    )
    with pytest.raises(SettingsError, match="kind must be "):
        load_settings(tmp_path, SUPPORTED_KINDS)
    settings = load_settings(tmp_path, SupportedKinds(["post"], {"http": Keys(frozenset({"url"}))}))
    assert (settings.sources["a"].kind, settings.executors["b"].url) == ("post", "ws://x")


def test_a_token_is_its_hash_and_its_permissions(tmp_path: Path) -> None:
    [token] = read(
        tmp_path, f'[[tokens]]\nname = "ci"\nsha256 = "{SHA}"\npermissions = ["jobs:read", "rails:read"]'
    ).tokens
    assert token.sha256 == SHA.lower()
    assert token.permissions == frozenset({"jobs:read", "rails:read"})


REPOSITORIES = """
[repositories."octo-org/vault"]
clone = "git@github.com:{owner}/{name}.git"
base = "trunk"
[repositories."Octo-Org/*"]
clone = "/srv/git/{owner}-{name}.git"
prepare = [["uv", "sync"], ["make"]]
workspace = "octo"
[repositories."*/dotfiles"]
clone = "~/{name}"
[repositories."*/here"]
clone = "../{name}.git"
[repositories."*/url"]
clone = "file:///srv/{name}"
[repositories."*"]
clone = "https://forge.example/{owner}/{name}"
"""


@pytest.mark.parametrize(
    ("name", "pattern", "clone", "is_path"),
    [
        ("octo-org/vault", "octo-org/vault", "git@github.com:octo-org/vault.git", False),
        ("octo-org/Api", "Octo-Org/*", "/srv/git/octo-org-Api.git", True),
        ("OCTO-ORG/Vault", "octo-org/vault", "git@github.com:octo-org/vault.git", False),
        ("ann/dotfiles", "*/dotfiles", "/home/ann/dotfiles", True),
        ("ann/here", "*/here", "{parent}/here.git", True),
        ("ann/url", "*/url", "file:///srv/url", True),
        ("ann/.github", "*", "https://forge.example/ann/.github", False),
    ],
)
def test_the_first_matching_entry_locates_a_repository(
    tmp_path: Path, name: str, pattern: str, clone: str, is_path: bool
) -> None:
    found = read(tmp_path, REPOSITORIES).repository(name)
    assert found is not None
    assert (found.pattern, found.is_path) == (pattern, is_path)
    assert found.clone == clone.format(parent=tmp_path.parent)


def test_an_entry_has_the_base_and_the_preparation(tmp_path: Path) -> None:
    settings = read(tmp_path, REPOSITORIES)
    first, second = settings.repository("octo-org/vault"), settings.repository("OCTO-org/web")
    assert first is not None
    assert second is not None
    assert (first.base, first.prepare, first.workspace) == ("trunk", (), "default")
    assert (second.base, second.prepare, second.workspace) == ("main", (("uv", "sync"), ("make",)), "octo")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "api",
        "/api",
        "octo-org/",
        "a//c",
        "a/./c",
        "a/-b/c",
        "../api",
        "octo-org/..",
        "./api",
        "a/.",
        "-x/api",
        "a/-x",
        "a/b c",
        "a/b\n",
        "a\x00/b",
        "a/b..c",
        "a/{name}",
        "a:b/c",
        "é/b",
    ],
)
def test_an_unsafe_name_has_no_repository(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, REPOSITORIES).repository(name) is None


def test_a_repository_is_spelled_as_its_entry_where_that_has_the_whole_name(tmp_path: Path) -> None:
    settings = read(tmp_path, '[repositories."Octo-Org/Site"]\nclone = "/srv/{owner}/{name}.git"')
    for name in ("octo-org/site", "OCTO-ORG/SITE", "Octo-Org/Site"):
        found = settings.repository(name)
        assert found
        assert found.clone == "/srv/Octo-Org/Site.git"


def test_groups_may_be_nested(tmp_path: Path) -> None:
    found = read(tmp_path, '[repositories."*"]\nclone = "/srv/{owner}/{name}.git"').repository("a/b/c")
    assert found
    assert found.clone == "/srv/a/b/c.git"


@given(name=st.text(alphabet="aZ0._-/{}: \n~", max_size=12) | st.text())
def test_no_name_leaves_its_directory(name: str) -> None:
    found = ANYWHERE.repository(name)
    if found is not None:
        assert os.path.normpath(found.clone) == found.clone
        assert len(Path(found.clone).relative_to("/srv").parts) == 2
        assert not any(part.startswith("-") for part in Path(found.clone).parts)


def test_without_an_entry_there_is_no_repository(tmp_path: Path) -> None:
    assert read(tmp_path, '[repositories."a/*"]\nclone = "/a"').repository("b/a") is None


ANYWHERE = Settings.model_validate(
    {
        "daemon": {"state_dir": Path("/state"), "socket": Path("/socket")},
        "repositories": [{"pattern": "*", "clone": "/srv/{owner}/{name}"}],
    },
    context=SettingsContext(Path("/config"), SUPPORTED_KINDS),
)
