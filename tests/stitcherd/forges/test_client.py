"""The client against servers that redirect, are slow, or answer with anything but what was asked for."""

import asyncio
import datetime as dt
import ssl
import time
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stitcherd.forges import FORGES
from stitcherd.forges.base import Request, RequestFailed, Response
from stitcherd.forges.client import RESPONSE_MAX, ForgeClient
from stitcherd.forges.models import RepositoryRef, ThreadRef
from tests.forges.fake import Answer, FakeForge, Fault
from tests.forges.fake_gitea import FakeGitea
from tests.forges.fake_github import FakeGitHub
from tests.forges.harness import FAKES, TOKEN, serving

REPOSITORY = RepositoryRef("octo-org/api")
OLD = RepositoryRef("octo-org/old-name")
COMMENT = Request(method="POST", repository=REPOSITORY, path="/issues/479/comments", body={"body": "hello"})
READ = Request(method="GET", repository=REPOSITORY, path="/issues/479")


async def send(fake: FakeForge, request: Request, kind: str = "github", deadline: float = 5.0) -> Response:
    async with serving(fake), ForgeClient(FORGES[kind], fake.api, deadline=deadline) as client:
        return await client.send(request, TOKEN)


async def failure(fake: FakeForge, request: Request, kind: str = "github", deadline: float = 5.0) -> RequestFailed:
    with pytest.raises(RequestFailed) as caught:
        await send(fake, request, kind, deadline)
    return caught.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("request_", [COMMENT, READ])
async def test_nothing_is_sent_to_another_host(request_: Request, status: int) -> None:
    fake, other = FakeGitHub(), FakeGitHub()
    async with serving(other):
        fake.faults = [Answer(status, None, {"Location": f"{other.api}/repos/octo-org/api/issues/479/comments"})] * 3
        if status == 303:
            assert (await send(fake, request_)).status == 303  # no forge uses it, and nothing follows it
        else:
            found = await failure(fake, request_)
            assert found.kind == "redirected"
            assert TOKEN not in str(found)
    assert other.log == []


@pytest.mark.parametrize(
    "location",
    [
        "",
        "//evil.example/",
        "https://127.0.0.1:1/x",
        "http://user@{host}/x",
        "http://[",
        "javascript:alert(1)",
        "/x/../..",
    ],
)
async def test_a_redirect_that_leads_nowhere_or_elsewhere_is_refused(location: str) -> None:
    fake = FakeGitea()
    async with serving(fake), ForgeClient(FORGES["gitea"], fake.api) as client:
        host = fake.url.removeprefix("http://")
        fake.faults = [Answer(307, None, {"Location": location.format(host=host)})]
        with pytest.raises(RequestFailed) as caught:
            await client.send(READ, TOKEN)
    assert caught.value.kind == "redirected"
    assert len(fake.log) == 1


@pytest.mark.parametrize(
    "location", ["/login", "/api/v1/../../login", "/api/v1/%2e%2e/login", "/api/v1/..%2flogin", "/api/v10/user"]
)
async def test_a_redirect_that_leaves_the_api_is_refused(location: str) -> None:
    fake = FakeGitea()
    fake.faults = [Answer(302, None, {"Location": location})]
    assert (await failure(fake, READ, "gitea")).kind == "redirected"
    assert len(fake.log) == 1


@pytest.mark.parametrize("kind", FAKES)
async def test_a_renamed_repository_is_read_by_its_old_name(kind: str) -> None:
    fake = FAKES[kind]()
    fake.renamed["octo-org/old-name"] = 7
    async with serving(fake), ForgeClient(FORGES[kind], fake.api) as client:
        call = client.forge.get_thread(OLD, ThreadRef("issue", 479))
        assert call.read(await client.send(call.request, TOKEN)).repository == "octo-org/api"


@pytest.mark.parametrize("kind", FAKES)
async def test_a_write_to_a_renamed_repository_is_done_once(kind: str) -> None:
    fake = FAKES[kind]()
    fake.renamed["octo-org/old-name"] = 7
    async with serving(fake), ForgeClient(FORGES[kind], fake.api) as client:
        call = client.forge.create_comment(OLD, ThreadRef("issue", 479), "hello")
        assert call.read(await client.send(call.request, TOKEN)).body == "hello"
    assert [each.body for each in fake.thread().comments] == ["hello"]
    assert {each.method for each in fake.log if each.status in {200, 201}} - {"GET"} == {"POST"}


async def test_a_post_that_is_answered_301_is_sent_to_the_new_name_and_no_get_counts_as_success() -> None:
    fake = FakeGitHub()
    fake.renamed["octo-org/old-name"] = 7
    fake.redirects = [301, 301]
    request = Request(method="POST", repository=OLD, path="/issues/479/comments", body={"body": "hello"})
    response = await send(fake, request)
    assert fake.sent() == [
        "POST /repos/octo-org/old-name/issues/479/comments 301",
        "GET /repos/octo-org/old-name 301",
        "GET /repositories/7 200",
        "POST /repos/octo-org/api/issues/479/comments 201",
    ]
    assert response.repository
    assert response.repository.ref == RepositoryRef("octo-org/api", "7")


@pytest.mark.parametrize("status", [401, 404, 502])
async def test_a_new_name_that_cannot_be_asked_for_is_no_refusal_of_the_write(status: int) -> None:
    fake = FakeGitHub()
    moved = Answer(301, b"<a href='/repositories/7'>Moved</a>", {"Location": "/repositories/7"})
    fake.faults = [moved, Answer(status, b"<html>")]
    assert (await send(fake, COMMENT)).status == status
    assert [each.method for each in fake.log] == ["POST", "GET"]


async def test_a_redirect_to_what_is_no_repository_is_refused() -> None:
    fake = FakeGitHub()
    fake.faults = [Answer(302, b"<html>", {"Location": "/login"}), Answer(200, {"id": 7})]
    assert (await failure(fake, COMMENT)).kind == "redirected"
    assert [each.method for each in fake.log] == ["POST", "GET"]


async def test_redirects_end() -> None:
    fake = FakeGitHub()
    fake.faults = [Answer(307, None, {"Location": "/repos/octo-org/api"})] * 9
    assert (await failure(fake, READ)).kind == "redirected"
    assert len(fake.log) == 4
    fake.log.clear()
    assert (await failure(fake, COMMENT)).kind == "redirected"
    assert len(fake.log) == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Answer(200, b"x" * (RESPONSE_MAX + 1)), "invalid"),
        (Answer(200, b'"' + b"x" * 5_000_000 + b'"'), "invalid"),
        (Answer(200, b'{"id": 1'), "invalid"),
        (Answer(200, b"<html>please log in</html>", {"Content-Type": "text/html"}), "invalid"),
        (Answer(200, b"[" * 1_000_000), "invalid"),
        (Answer(200, b"\xff\xfe"), "invalid"),
        (b"", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "unreachable"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "unreachable"),
        (30.0, "unreachable"),
    ],
    ids=["large", "larger", "cut", "html", "deep", "binary", "closed", "short", "ssh", "headers", "silent"],
)
@pytest.mark.parametrize("request_", [COMMENT, READ])
async def test_a_response_that_is_no_answer_fails(fault: Fault, kind: str, request_: Request) -> None:
    fake = FakeGitHub()
    fake.faults = [fault] * 3  # a read is sent again when a connection is lost
    started = time.monotonic()
    found = await failure(fake, request_, deadline=1.0)
    assert (found.kind, found.uncertain) == (kind, True)
    assert "\n" not in str(found)
    assert len(str(found)) < 300
    assert time.monotonic() - started < 5


async def test_the_deadline_includes_redirects_and_slow_bodies() -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    app = web.Application()
    app.router.add_get("/{tail:.*}", drip)
    server = TestServer(app)
    await server.start_server()
    started = time.monotonic()
    async with ForgeClient(FORGES["github"], str(server.make_url("")), deadline=0.3) as client:
        with pytest.raises(RequestFailed, match=r"did not answer within 0\.3 s"):
            await client.send(READ, TOKEN)
    assert time.monotonic() - started < 2
    await server.close()


@pytest.mark.parametrize("body", [b"<html><title>502 Bad Gateway</title></html>", b"", b"[]"])
async def test_an_error_need_not_be_json(body: bytes) -> None:
    fake = FakeGitHub()
    fake.faults = [Answer(502, body, {"Content-Type": "text/html"})]
    response = await send(fake, READ)
    assert (response.status, response.text) == (502, body.decode())


async def test_a_forge_that_is_down_is_unreachable() -> None:
    async with ForgeClient(FORGES["gitea"], "http://127.0.0.1:1/api/v1") as client:
        with pytest.raises(RequestFailed) as caught:
            await client.send(READ, TOKEN)
    assert (caught.value.kind, caught.value.uncertain) == ("unreachable", False)


async def test_a_certificate_that_nobody_vouches_for_is_told_apart(tmp_path: Path) -> None:
    server = TestServer(web.Application())
    await server.start_server(ssl=_self_signed(tmp_path))
    try:
        async with ForgeClient(FORGES["github"], f"https://127.0.0.1:{server.port}") as client:
            with pytest.raises(RequestFailed) as caught:
                await client.send(READ, TOKEN)
    finally:
        await server.close()
    assert caught.value.kind == "certificate"


async def test_proxies_cookies_and_netrc_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("default login ann password hush")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    fake = FakeGitHub()
    fake.faults = [Answer(200, {}, {"Set-Cookie": "session=1"})]
    async with serving(fake), ForgeClient(FORGES["github"], fake.api) as client:
        await client.send(READ, None)
        await client.send(READ, None)
    assert [each.token for each in fake.log] == [None, None]


def _self_signed(directory: Path) -> ssl.SSLContext:
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(encoding, form, serialization.NoEncryption())
    (directory / "server.pem").write_bytes(secret + certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    return context
