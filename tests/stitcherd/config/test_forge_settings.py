"""The API of a source in stitcherd.toml, and the credentials for it."""

from pathlib import Path

import pytest

from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.settings import Settings
from stitcherd.configuration import SUPPORTED_KINDS

SOURCE = '[sources.hub]\nkind = "github"\n'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOD", "a-good-secret")
    monkeypatch.setenv("PEM", "-----BEGIN PRIVATE KEY-----")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n")


def read(directory: Path, text: str) -> Settings:
    (directory / "stitcherd.toml").write_text(text)
    return load_settings(directory, SUPPORTED_KINDS)


def test_a_source_acts_as_an_app_by_its_key(tmp_path: Path) -> None:
    key = tmp_path / "app.pem"
    key.write_text("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n")
    key.chmod(0o644)
    settings = read(
        tmp_path,
        '[sources.hub]\nkind = "github"\nsecrets = [{env = "GOOD"}]\napi = "https://api.github.com"\n'
        'patience = "90s"\napp = {id = "Iv23app", key = {file = "app.pem"}}',
    )
    source = settings.sources["hub"]
    assert source.app
    assert (source.app.id, source.app.key) == ("Iv23app", key.read_bytes().removesuffix(b"\n"))
    assert (source.api, source.token, source.patience) == ("https://api.github.com", None, 90.0)
    assert settings.files == (key,)
    assert settings.secret_values[0] == source.app.key
    assert "MIIE" not in repr(settings)
    assert settings.warnings == ("stitcherd.toml:6: every user of this machine can read app.pem",)


@pytest.mark.parametrize(
    ("api", "kept"),
    [
        ("https://api.github.com", "https://api.github.com"),
        ("https://git.example:8443/api/v1/", "https://git.example:8443/api/v1"),
        ("http://127.0.0.1:3000/api/v1", "http://127.0.0.1:3000/api/v1"),
        ("http://localhost/api/v4", "http://localhost/api/v4"),
        ("HTTPS://Git.Example/api/v1", "HTTPS://Git.Example/api/v1"),
    ],
)
def test_the_api_of_a_forge_is_at_https_or_on_this_machine(tmp_path: Path, api: str, kept: str) -> None:
    text = f'[sources.hub]\nkind = "gitea"\nsecrets = [{{env = "GOOD"}}]\napi = "{api}"'
    source = read(tmp_path, text).sources["hub"]
    assert (source.api, source.patience) == (kept, 600.0)


@pytest.mark.parametrize("key", ['token = {env = "GOOD"}', 'app = {id = "Iv23app", key = {env = "PEM"}}'])
def test_a_credential_without_an_api_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    settings = read(tmp_path, f'[sources.hub]\nkind = "github"\nsecrets = [{{env = "GOOD"}}]\n{key}')
    name = key.partition(" ")[0]
    assert settings.warnings == (f"stitcherd.toml:4: sources.hub.{name} is not used without api",)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            SOURCE + "secrets = [{env = 'GOOD'}]\napi = 'http://hub.example/api'",
            4,
            "sources.hub.api: must start with https://: the token would be readable on the way",
        ),
        *[
            (
                f"{SOURCE}secrets = [{{env = 'GOOD'}}]\napi = 'https://{rest}'",
                4,
                "sources.hub.api: must be a URL without user, query and fragment",
            )
            for rest in ("ann@hub.example", "ann:pw@hub.example", "hub.example/?a=1", "hub.example/#a")
        ],
        *[
            (
                f"{SOURCE}secrets = [{{env = 'GOOD'}}]\napi = '{url}'",
                4,
                "sources.hub.api: must be a URL that starts with https://",
            )
            for url in ("https://", "https:///api", "https://hub:x/", "https://hub:0/", "ftp://hub/", "https://h ub/")
        ],
        (
            "[sources.hub]\nkind = 'mosaic'\nsecrets = [{env = 'GOOD'}]\napi = 'https://hub.example'",
            4,
            "sources.hub.api: kind mosaic has no api",
        ),
        (
            SOURCE + "secrets = [{env = 'GOOD'}]\npull = '60s'",
            4,
            "sources.hub.pull: needs api, and token or app",
        ),
        (
            SOURCE + "secrets = [{env = 'GOOD'}]\npatience = 600",
            4,
            'sources.hub.patience: needs a unit and quotes: "600s"',
        ),
        (SOURCE + "secrets = [{env = 'GOOD'}]\npatience = '0s'", 4, "sources.hub.patience: must be more than 0"),
        (
            SOURCE
            + "secrets = [{env = 'GOOD'}]\ntoken = {env = 'GOOD'}\napp = {id = 'Iv23', key = {file = 'key.pem'}}",
            5,
            "sources.hub.app: token and app exclude each other: write one of them",
        ),
        (
            "[sources.hub]\nkind = 'gitea'\nsecrets = [{env = 'GOOD'}]\napp = {id = 'Iv23', key = {file = 'key.pem'}}",
            4,
            "sources.hub.app: kind gitea has no app",
        ),
        (
            SOURCE + "secrets = [{env = 'GOOD'}]\napp = {id = 'Iv23', key = {env = 'GOOD'}}",
            4,
            "sources.hub.app.key: must be a private key in PEM, which starts with -----BEGIN",
        ),
        (
            SOURCE + "secrets = [{env = 'GOOD'}]\napp = {id = 'Iv23', kye = {env = 'GOOD'}}",
            4,
            "key is missing from [sources.hub.app]",
        ),
        (SOURCE + "secrets = [{env = 'GOOD'}]\napp = 'x'", 4, "sources.hub.app must be a table, not text"),
    ],
)
def test_a_fault_has_its_line_and_sentence(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"stitcherd.toml:{line}: {message}"


API = 'api = "https://api.github.com"\ntoken = {env = "GOOD"}\n'


@pytest.mark.parametrize("secrets", ["", "secrets = []\n"])
def test_a_source_that_is_polled_needs_no_secrets(tmp_path: Path, secrets: str) -> None:
    entries = (
        '[repositories."octo-org/api"]\nclone = "/srv/api.git"\n[repositories."octo-org/*"]\nclone = "/srv/x.git"\n'
    )
    settings = read(tmp_path, f'{SOURCE}{secrets}{API}pull = "60s"\n{entries}')
    assert (settings.sources["hub"].secrets, settings.sources["hub"].pull) == ((), 60.0)
    assert settings.warnings == ()


def test_pull_of_an_app_warns_of_patterns(tmp_path: Path) -> None:
    app = 'api = "https://api.github.com"\napp = {id = "Iv23app", key = {env = "PEM"}}\n'
    entry = '[repositories."octo-org/*"]\nclone = "/srv/x.git"\n'
    [warning] = read(tmp_path, f'{SOURCE}{app}pull = "60s"\n{entry}').warnings
    assert "pull asks about no repository of 'octo-org/*': an App has a token for each repository" in warning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{SOURCE}{API}pull = "5s"', "must be at least 10s"),
        (f"{SOURCE}{API}pull = 60", "needs a unit"),
        (f'{SOURCE}api = "https://api.github.com"\npull = "60s"', "needs api, and token or app"),
        ('[sources.hub]\nkind = "mosaic"\npull = "60s"', "kind mosaic cannot be asked what happened"),
    ],
)
def test_what_cannot_be_polled_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as refused:
        read(tmp_path, text)
    assert "sources.hub.pull" in str(refused.value)
