"""The tokens of a GitHub App: what its JWT says, how far a token reaches, when it is renewed, and who is told of it."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from stitcherd.forges import FORGES
from stitcherd.forges.app_credentials import RENEW_BEFORE, AppCredentials, AppKey, AppUnusable
from stitcherd.forges.client import ForgeClient
from stitcherd.forges.credentials import NoToken
from stitcherd.forges.models import CheckRun, CommitState, ForgeAccount, RepositoryRef, ThreadRef
from stitcherd.forges.outcome import CREDENTIAL_CHECK, Hold, Rejected, RetryAt
from tests.forges.fake import Answer
from tests.forges.fake_github import FakeGitHub
from tests.forges.harness import Clock, connected, serving, value_of

jwt = pytest.importorskip("jwt", reason="the extra github-app is not installed")
pytest.importorskip("cryptography", reason="the extra github-app is not installed")

from cryptography.hazmat.primitives import serialization  # noqa: E402 (after the check that it is there)
from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: E402

REPOSITORY = RepositoryRef("octo-org/api", "7")
ISSUE, CHANGE = ThreadRef("issue", 479), ThreadRef("change", 480)
KEY = rsa.generate_private_key(65537, 2048)


def pem(key: Any, password: bytes | None = None) -> bytes:
    encryption: Any = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    found: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return found


def app(told: list[bytes], now: Callable[[], int]) -> Callable[[ForgeClient], AppCredentials]:
    return lambda client: AppCredentials(client, "Iv23app", AppKey(pem(KEY)), told.append, now)


async def test_an_app_acts_with_a_token_for_one_repository_and_the_permissions_of_the_call() -> None:
    fake, told, clock = FakeGitHub(), list[bytes](), Clock()
    async with connected(fake, "github", credentials=app(told, clock), now=clock) as api:
        assert value_of(await api.identify()) == ForgeAccount("77", "stitcher-app[bot]")
        comment = value_of(await api.perform(api.forge.create_comment(REPOSITORY, ISSUE, "queued")))
        value_of(await api.perform(api.forge.edit_comment(REPOSITORY, ISSUE, comment.id, "running")))
        value_of(await api.perform(api.forge.create_comment(RepositoryRef("octo-org/api"), CHANGE, "queued")))
    minted = [each.body for each in fake.log if each.path == "/app/installations/3/access_tokens"]
    assert minted == [
        {"repository_ids": [7], "permissions": {"issues": "write"}},
        {"repositories": ["api"], "permissions": {"pull_requests": "write"}},
    ]
    assert told == [b"ghs_minted-1", b"ghs_minted-2"]
    used = [each.token for each in fake.log if each.path.endswith(("/comments", f"/{comment.id}"))]
    assert used == ["ghs_minted-1", "ghs_minted-1", "ghs_minted-2"]


async def test_the_jwt_is_signed_by_the_key_and_lives_less_than_ten_minutes() -> None:
    fake, clock = FakeGitHub(), Clock()
    async with connected(fake, "github", credentials=app([], clock), now=clock) as api:
        await api.identify()
    assert fake.app_jwt
    before = clock.now // 1000 - 60
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(fake.app_jwt, KEY.public_key(), algorithms=["RS256"], options=options)
    assert claims["iss"] == "Iv23app"
    assert before - 60 <= claims["iat"] <= before
    assert claims["exp"] - claims["iat"] == 600


async def test_a_token_is_renewed_five_minutes_before_its_end_once_for_all_who_wait() -> None:
    fake, told, clock = FakeGitHub(), list[bytes](), FixedClock()
    async with serving(fake), ForgeClient(FORGES["github"], fake.api) as client:
        credentials = app(told, clock)(client)
        request = client.forge.get_thread(REPOSITORY, ISSUE).request
        tokens = await asyncio.gather(*(credentials.token(request) for _ in range(20)))
        assert set(tokens) == {"ghs_minted-1"}
        expires = credentials._tokens[credentials.scope(request)].expires_at
        clock.now = expires - RENEW_BEFORE - 1
        assert await credentials.token(request) == "ghs_minted-1"
        clock.now += 1
        tokens = await asyncio.gather(*(credentials.token(request) for _ in range(20)))
        assert set(tokens) == {"ghs_minted-2"}
    assert told == [b"ghs_minted-1", b"ghs_minted-2"]
    assert "ghs_" not in repr(credentials._tokens)


async def test_a_token_that_is_not_accepted_is_renewed_once() -> None:
    fake, told, clock = FakeGitHub(), list[bytes](), Clock()
    async with connected(fake, "github", credentials=app(told, clock), now=clock) as api:
        read = api.forge.get_thread(REPOSITORY, ISSUE)
        value_of(await api.perform(read))
        fake.revoked.add("ghs_minted-1")
        assert value_of(await api.perform(read)).number == 479
        fake.revoked |= {"ghs_minted-2", "ghs_minted-3"}
        held = await api.perform(read)
        assert isinstance(held, Hold)
        assert held.cause == "credential"
        sent = len(fake.log)
        assert await api.perform(read) == held
        assert len(fake.log) == sent
    assert len(told) == 3


async def test_a_suspended_app_is_asked_once_in_five_minutes() -> None:
    fake, clock = FakeGitHub(), FixedClock()
    fake.suspended = True
    async with connected(fake, "github", credentials=app([], clock), now=clock) as api:
        held = await api.perform(api.forge.create_comment(REPOSITORY, ISSUE, "hello"))
        assert isinstance(held, Hold)
        assert held.until == clock.now + CREDENTIAL_CHECK
        assert "suspended" in held.reason
        sent = len(fake.log)
        assert await api.perform(api.forge.create_comment(REPOSITORY, ISSUE, "hello")) == held
        assert len(fake.log) == sent
        fake.suspended = False
        clock.now = held.until
        assert value_of(await api.perform(api.forge.create_comment(REPOSITORY, ISSUE, "hello"))).body == "hello"


async def test_what_an_app_was_not_granted_is_refused_and_names_it() -> None:
    fake, clock = FakeGitHub(), Clock()
    async with connected(fake, "github", credentials=app([], clock), now=clock) as api:
        assert api.forge.checks
        check = CheckRun(name="stitcher/fix", state=CommitState.PENDING, external_id="1", title="t", summary="s")
        refused = await api.perform(api.forge.checks.create(REPOSITORY, "c" * 40, check))
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.hint) == ("forbidden", "grant the App write access to checks")
        absent = await api.perform(api.forge.create_comment(RepositoryRef("octo-org/other"), ISSUE, "hello"))
        assert isinstance(absent, Rejected)
        assert (absent.code, absent.hint) == ("forbidden", "install the App on octo-org/other")
        assert value_of(await api.perform(api.forge.get_thread(REPOSITORY, ISSUE)))


async def test_a_forge_that_is_down_gives_no_token_and_no_hold() -> None:
    fake, clock = FakeGitHub(), Clock()
    fake.faults = [Answer(502, b"<html>"), Answer(429, {}, {"Retry-After": "60"})]
    async with connected(fake, "github", credentials=app([], clock), now=clock) as api:
        read = api.forge.get_thread(REPOSITORY, ISSUE)
        assert isinstance(await api.perform(read), RetryAt)
        held = await api.perform(read)
        assert isinstance(held, Hold)
        assert held.cause == "rate_limit"


async def test_a_request_without_a_repository_has_no_token() -> None:
    fake, clock = FakeGitHub(), Clock()
    async with serving(fake), ForgeClient(FORGES["github"], fake.api) as client:
        with pytest.raises(NoToken):
            await app([], clock)(client).token(client.forge.get_user().request)
    assert fake.log == []


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (b"hush", "not a private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n", "not a private key in PEM"),
        (pem(KEY, b"password"), "not a private key in PEM"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "not one of RSA"),
    ],
    ids=["text", "broken", "encrypted", "another algorithm"],
)
def test_a_key_that_cannot_be_used_is_refused_and_not_shown(key: bytes, message: str) -> None:
    with pytest.raises(AppUnusable, match=message) as caught:
        AppKey(key)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("module", ["jwt", "cryptography.hazmat.primitives.asymmetric.rsa"])
def test_a_missing_library_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(AppUnusable, match=r"is missing: install .*'stitcher\[github-app\]'"):
        AppKey(pem(KEY))


@pytest.mark.parametrize("kind", ["gitea", "gitlab"])
async def test_only_github_has_apps(kind: str) -> None:
    async with ForgeClient(FORGES[kind], "http://127.0.0.1:1") as client:
        with pytest.raises(ValueError, match=f"{kind} has no Apps"):
            AppCredentials(client, "Iv23app", AppKey(pem(KEY)), lambda _: None)


class FixedClock:
    def __init__(self) -> None:
        self.now = Clock().now

    def __call__(self) -> int:
        return self.now
