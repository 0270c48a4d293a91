"""A credential is for the repositories of its source's workspace and host, and for no others."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.ids import now_ms
from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.forges.app_credentials import AppUnusable
from stitcherd.forges.connections import MINTED_LIFE, ForgeConnections
from stitcherd.git.remote import CredentialRefused, RemoteUnreachable
from tests.forges.fake import Answer
from tests.forges.fake_github import FakeGitHub
from tests.forges.harness import TOKEN, Clock, serving

SOURCE = (
    '[sources.{name}]\nkind = "{kind}"\nsecrets = [{{env = "SECRET"}}]\napi = "{api}"\ntoken = {{env = "{name}"}}\n'
)
REPOSITORIES = '[repositories."{pattern}"]\nclone = "{clone}"\nworkspace = "{workspace}"\n'


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: Any) -> Callable[..., Any]:
    monkeypatch.setenv("SECRET", "a-webhook-secret")
    for name in ("hub", "other"):
        monkeypatch.setenv(name, f"token-of-{name}")

    @asynccontextmanager
    async def connected(text: str, now: Callable[[], int] = now_ms) -> AsyncIterator[ForgeConnections]:
        (tmp_path / "stitcherd.toml").write_text(text)
        connections = ForgeConnections(load_settings(tmp_path, SUPPORTED_KINDS), now)
        yield connections
        await connections.close()

    return connected


def source(name: str, kind: str, api: str, workspace: str = "default") -> str:
    return SOURCE.format(name=name, kind=kind, api=api) + f'workspace = "{workspace}"\n'


def repositories(pattern: str, clone: str, workspace: str = "default") -> str:
    return REPOSITORIES.format(pattern=pattern, clone=clone, workspace=workspace)


@pytest.mark.parametrize(
    ("kind", "api", "clone", "username"),
    [
        ("github", "https://api.github.com", "https://github.com/octo-org/api.git", "x-access-token"),
        ("github", "https://ghe.example/api/v3", "https://ghe.example/octo-org/api", "x-access-token"),
        ("gitea", "https://tea.example:3000/api/v1", "https://tea.example:3000/octo-org/api.git", "stitcher"),
        ("gitlab", "https://lab.example/api/v4", "https://LAB.example:443/group/sub/api.git", "oauth2"),
    ],
)
async def test_a_token_is_also_the_password_for_git(
    connect: Callable[[str], Any], kind: str, api: str, clone: str, username: str
) -> None:
    async with connect(source("hub", kind, api) + repositories("*", clone)) as connections:
        credential = await connections.git_credential(clone)
        assert credential is not None
        assert (credential.username, credential.password) == (username, "token-of-hub")
        assert connections.can_push(clone)
        for other in ("https://example.org/octo-org/api.git", clone.replace("https", "http"), "/srv/git/api.git"):
            assert await connections.git_credential(other) is None


async def test_no_workspace_uses_the_token_of_another(connect: Callable[[str], Any]) -> None:
    hub = "https://github.com/{owner}/{name}.git"
    text = source("hub", "github", "https://api.github.com") + source("other", "github", "https://api.github.com", "b")
    text += repositories("octo-org/*", hub) + repositories("acme/*", hub, "b") + repositories("none/*", hub, "c")
    shared = "https://github.com/both/both.git"
    text += repositories("one/both", shared) + repositories("two/both", shared, "b")
    async with connect(text) as connections:
        passwords = {}
        for name in ("octo-org/api", "acme/api", "none/api", "other/api", "both/both"):
            credential = await connections.git_credential(f"https://github.com/{name}.git")
            passwords[name] = credential and credential.password
    assert passwords == {
        "octo-org/api": "token-of-hub",
        "acme/api": "token-of-other",
        "none/api": None,
        "other/api": None,
        "both/both": None,
    }


async def test_an_app_gives_git_a_token_for_the_repository_that_is_masked_while_it_may_be_valid(
    connect: Callable[..., Any], tmp_path: Path
) -> None:
    fake, clock = FakeGitHub(), Clock()
    fake.granted["contents"] = "write"
    (tmp_path / "app.pem").write_bytes(app_key())
    async with serving(fake):
        text = SOURCE.format(name="hub", kind="github", api=fake.api)
        text = text.replace('token = {env = "hub"}', 'app = {id = "Iv23", key = {file = "app.pem"}}')
        clone = f"{fake.url}/octo-org/api.git"
        async with connect(text + repositories("*", f"{fake.url}/{{owner}}/{{name}}.git"), clock) as connections:
            assert connections.can_push(clone)
            assert connections.minted_secrets() == frozenset()
            credential = await connections.git_credential(clone)
            assert (credential.username, credential.password) == ("x-access-token", "ghs_minted-1")
            assert connections.minted_secrets() == {b"ghs_minted-1"}
            clock.now += MINTED_LIFE
            assert (await connections.git_credential(clone)).password == "ghs_minted-2"
            assert connections.minted_secrets() == {b"ghs_minted-2"}
            with pytest.raises(CredentialRefused, match="the App is not installed there"):
                await connections.git_credential(f"{fake.url}/octo-org/other.git")
            fake.faults.append(Answer(503))
            with pytest.raises(RemoteUnreachable, match="github answered 503"):
                await connections.git_credential(f"{fake.url}/octo-org/third.git")
    minted = [each.body for each in fake.log if each.method == "POST"]
    assert minted == [{"repositories": ["api"], "permissions": {"contents": "write"}}] * 2


async def test_an_app_is_asked_for_the_right_to_push_workflows_only_for_those(
    connect: Callable[..., Any], tmp_path: Path
) -> None:
    fake = FakeGitHub()
    fake.granted["contents"] = "write"
    (tmp_path / "app.pem").write_bytes(app_key())
    async with serving(fake):
        text = SOURCE.format(name="hub", kind="github", api=fake.api)
        text = text.replace('token = {env = "hub"}', 'app = {id = "Iv23", key = {file = "app.pem"}}')
        clone = f"{fake.url}/octo-org/api.git"
        async with connect(text + repositories("*", f"{fake.url}/{{owner}}/{{name}}.git"), Clock()) as connections:
            with pytest.raises(CredentialRefused, match=r"grant the App .* write access to workflows"):
                await connections.git_credential(clone, workflows=True)
            assert (await connections.git_credential(clone)).password == "ghs_minted-1"
            fake.granted["workflows"] = "write"
            assert (await connections.git_credential(clone, workflows=True)).password == "ghs_minted-2"
    wanted = [each.body["permissions"] for each in fake.log if each.method == "POST"]
    workflows = {"contents": "write", "workflows": "write"}
    assert wanted == [workflows, {"contents": "write"}, workflows]


async def test_the_head_of_a_change_is_what_its_forge_says(
    connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeGitHub()
    monkeypatch.setenv("hub", TOKEN)
    async with serving(fake):
        clone = f"{fake.url}/octo-org/api.git"
        text = SOURCE.format(name="hub", kind="github", api=fake.api)
        async with connect(text + repositories("*", f"{fake.url}/{{owner}}/{{name}}.git"), Clock()) as connections:
            fake.thread(480).head_sha = "b" * 40
            assert await connections.find_head(clone, 480) == "b" * 40
            assert await connections.find_head("/srv/api.git", 480) is None
            assert await connections.find_head(clone, 4800) is None, "the repository is asked"
            fake.faults.append(Answer(503))
            with pytest.raises(RemoteUnreachable, match="github answered 503"):
                await connections.find_head(clone, 480)


async def test_a_key_that_cannot_be_used_names_its_source(connect: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "app.pem").write_text("-----BEGIN PRIVATE KEY-----")
    text = source("hub", "github", "https://api.github.com")
    with pytest.raises(AppUnusable, match=r"^sources\.hub\.app: the key of the App is not a private key in PEM"):
        async with connect(text.replace('token = {env = "hub"}', 'app = {id = "Iv23", key = {file = "app.pem"}}')):
            pass


def app_key() -> bytes:
    pytest.importorskip("jwt", reason="the extra github-app is not installed")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, form, none))
