"""Malformed requests, reproducible by seed, for tests and benchmarks: broken framing, headers, bodies and names."""

import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

HOOK = "/stitcher/webhook/"
READ, HALF, RESET = "read", "half", "reset"  # the endings of bench/raw_requests.py

NAMES = (
    "../../etc/passwd", "-rf", "--upload-pack=x", "%2e%2e/%2e%2e", "..", ".", "~root", "$(id)", "`id`", "a\nb", "a;b",
    "\u202egnp.exe", "\u2066x\u2069", "\x1b[2J\x1b]0;x\x07", "\x1bP", "\x9b31m", "\x00", "ünï", "e\u0301", "\ufeff",
    "a" * 256, "ä" * 128, "a/" * 200, "CON", " ", "", "octo-org/", "/api", "octo-org//api", "octo-org/api\u0000",
    "octo-org/../api", "octo-org/-api", "OCTO-ORG/API", "octo-org/api.git", "\ud800",
)  # fmt: skip
JSON = (
    b"", b" ", b"{", b"[]", b"null", b"0", b'"x"', b"{}", b"{}{}", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"\xff",
    b'{"a": NaN}', b'{"a": 1e999}', b'{"a": -Infinity}', b'{"issue": {"number": 1e999}}', b"[" * 100_000,
    b'{"a":' * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a": ' + b"9" * 10_000 + b"}",
    b'{"issue": {"number": ' + b"9" * 400 + b"}}", b'{"a": "\\ud800"}', b'{"a": "\\udc00\\ud800"}',
    b'{"\\u0000": 1}', b'{"a": "\x00"}', b"{'a': 1}", b'{"a": 1,}', b'{"action": "created", "action": "edited"}',
    b'{"a": "\xed\xa0\x80"}', b'{"a": "\xc0\xaf"}', b'{"issue": {"number": 1180591620717411303424}}',
    b'{"issue": {"number": -1}, "comment": {}}', b'{"sender": {"login": {}}}', b"\x00" * 64, b"<xml/>",
)  # fmt: skip
FRAMES = (
    "Content-Length: -1", "Content-Length: +2", "Content-Length: 0x2", "Content-Length: 2,2", "Content-Length: 2 2",
    "Content-Length: ", "Content-Length: 99999999999999999999", "Content-Length: 1e3", "Content-Length: \u0662",
    "Content-Length: 2\r\nContent-Length: 3", "Content-Length : 2", "Content-Length: 2\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 2", "Transfer-Encoding: xchunked", "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\x0bchunked", "Transfer-Encoding: ", "Transfer-Encoding: chunked, chunked",
)  # fmt: skip
CHUNKS = (
    b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n", b"ffffffffffffffffff\r\n{}\r\n", b"2\r\n{}0\r\n\r\n", b"2\n{}\n0\n\n",
    b"5\r\n{}\r\n0\r\n\r\n", b"2;" + b"x" * 9000 + b"\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n",
    b"0x2\r\n{}\r\n0\r\n\r\n", b" 2\r\n{}\r\n0\r\n\r\n", b"\r\n\r\n", b"2\r\n{}\r\n0\r\n" + b"T: x\r\n" * 300 + b"\r\n",
)  # fmt: skip
LINES = (
    b"GET /healthz", b"GET  /healthz HTTP/1.1", b"GET /healthz HTTP/0.9", b"GET /healthz HTTP/1.0", b"PRI * HTTP/2.0",
    b"GET /healthz HTTP/9.9", b"GET http://evil.example/healthz HTTP/1.1", b"GET http://[::1/ HTTP/1.1", b"get / HTTP/1.1",
    b"CONNECT evil.example:443 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"TRACE /healthz HTTP/1.1", b"GET //evil HTTP/1.1",
    b"GET /../../etc/passwd HTTP/1.1", b"GET /%2e%2e/%2e%2e/etc HTTP/1.1", b"GET /%00%ff%zz HTTP/1.1", b"GET \xff HTTP/1.1",
    b"GET /healthz?" + b"a=b&" * 1500 + b" HTTP/1.1", b"GET /" + b"a" * 70_000 + b" HTTP/1.1", b"\x16\x03\x01\x02\x00\x01",
    b"POST /stitcher/webhook/\xed\xa0\x80 HTTP/1.1", b"GET /runner-jobs?q=%ed%a0%80 HTTP/1.1", b"A" * 30 + b" / HTTP/1.1",
)  # fmt: skip
HEADERS = (
    b"X: " + b"x" * 65_536, b"\r\n".join(b"X-%d: y" % n for n in range(200)), b"X" * 9000 + b": y", b"Host: a\r\nHost: b",
    b"Host: [", b"Host: \xff", b"Host: 127.0.0.1.evil.example", b"Host:", b"Origin: null", b"X: a\r\n folded", b"X:\x00",
    b"no colon", b": empty", b"X: a\rb", b"Expect: 100-continue", b"Expect: tea", b"Upgrade: websocket\r\nConnection: upgrade",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings", b"Content-Encoding: gzip", b"Content-Encoding: br", b"Cookie: " + b"a=b;" * 1500,
    b"Content-Type: \xff", b"Content-Type: application/json; charset=\xff", b"Content-Type: application/json; charset=utf-16",
    b"Content-Type: ;;;", b'Content-Type: application/json; charset="', b"Content-Type: multipart/form-data", b"Accept: text/html",
    b"Authorization: Bearer \xff", b"Authorization:", b"Range: bytes=-1-5", b"Last-Event-ID: \xff", b"If-Modified-Since: \xff",
)  # fmt: skip
PATHS = (
    "/healthz", "/readyz", "/meta", "/rails", "/runner-jobs", "/deliveries", "/openapi.json", "/runner-jobs/{}",
    "/runner-jobs/{}/events", "/runner-jobs/{}/steps/{}/log", "/deliveries/{}", "/deliveries/{}/body", "/{}", "/events",
    "/runner-jobs?q={}", "/runner-jobs?before={}", "/runner-jobs?limit={}", "/runner-jobs?status={}", "/runner-jobs?{}={}",
    "/deliveries?verdict={}", "/deliveries?before={}", "/runner-jobs/{}/events?after={}", "/events?after=x{}",
)  # fmt: skip
POSTS = (
    "/runner-jobs", "/stitcher/dispatch", "/runner-jobs/{}/cancel", "/runner-jobs/{}/retry", "/runner-jobs/bulk",
    "/rails/explain", "/rails/simulate", "/deliveries/{}/replay",
)  # fmt: skip


class Case(NamedTuple):
    """One connection: the pieces sent on it, and how it ends."""

    kind: str
    pieces: tuple[bytes, ...]
    ending: str = READ


class Sender(NamedTuple):
    """A sender of webhooks in the style of GitHub, and its secret."""

    source: str
    secret: bytes

    def headers(self, body: bytes, rng: random.Random) -> list[bytes]:
        """Return the headers of a valid delivery."""
        proof = hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        return [
            b"Content-Type: application/json",
            b"X-GitHub-Event: issue_comment",
            b"X-GitHub-Delivery: %016x" % rng.getrandbits(64),
            b"X-Hub-Signature-256: sha256=" + proof.encode(),
        ]


def cases(seed: int, count: int, sender: Sender, *, api: bool) -> Iterator[Case]:
    """Yield `count` cases, the same for the same seed; with `api` those for a listener that needs no token."""
    rng = random.Random(seed)
    made: list[Callable[[random.Random, Sender], Case]] = [_bad_api_request] if api else [
        _bad_framing, _bad_chunks, _bad_request_line, _bad_headers, _bad_signature, _bad_body, _bad_names, _flipped_bytes, _cut_off, _bad_api_request
    ]  # fmt: skip
    for _ in range(count):
        yield rng.choice(made)(rng, sender)


def _post(path: bytes, lines: list[bytes], body: bytes, host: bytes = b"Host: localhost") -> bytes:
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", host, b"Connection: close", *lines, b"", b""]) + body


def _hook(sender: Sender, lines: list[bytes], body: bytes) -> bytes:
    return _post((HOOK + sender.source).encode(), lines, body)


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


def _bad_framing(rng: random.Random, sender: Sender) -> Case:
    body, length = b"{}", rng.choice(FRAMES).encode()
    if rng.random() < 0.3:  # a wrong length
        length = b"Content-Length: %d" % rng.choice([0, 1, 3, 10, 1000, 2**20 - 1, 2**20 + 1, 2**31, 2**63, 2**64])
    return Case("framing", (_hook(sender, [*sender.headers(body, rng), length], body),), HALF)


def _bad_chunks(rng: random.Random, sender: Sender) -> Case:
    lines = [*sender.headers(b"{}", rng), b"Transfer-Encoding: chunked"]
    return Case("chunks", (_hook(sender, lines, b""), rng.choice(CHUNKS)), HALF)


def _bad_request_line(rng: random.Random, _sender: Sender) -> Case:
    host = [b"Host: localhost"] if rng.random() < 0.7 else []
    return Case("request line", (b"\r\n".join([rng.choice(LINES), *host, b"Connection: close", b"", b""]),))


def _bad_headers(rng: random.Random, sender: Sender) -> Case:
    body = b'{"action": "created"}'
    lines = [*sender.headers(body, rng), rng.choice(HEADERS), _length(body)]
    rng.shuffle(lines)
    return Case("headers", (_hook(sender, lines, body),))


def _bad_signature(rng: random.Random, sender: Sender) -> Case:
    body = rng.choice(JSON)
    kept = sender.headers(body, rng)[:3]
    good = hmac.new(sender.secret, body, hashlib.sha1).hexdigest().encode()
    wrong = [
        [], [b"X-Hub-Signature-256: "], [b"X-Hub-Signature-256: sha256="], [b"X-Hub-Signature-256: sha256=00"],
        [b"X-Hub-Signature-256: sha256=" + "é".encode() * 32], [b"X-Hub-Signature-256: \xff\xfe"],
        [b"X-Hub-Signature: sha1=" + good], [b"X-Hub-Signature-256: sha1=" + good], [b"X-Hub-Signature-256: " + b"0" * 64],
        [b"X-Hub-Signature-256: sha256=" + b"0" * 64, sender.headers(body, rng)[3]], [b"X-Hub-Signature-256: sha256=" + b"0" * 8000],
    ]  # fmt: skip
    return Case("signature", (_hook(sender, [*kept, *rng.choice(wrong), _length(body)], body),))


def _bad_body(rng: random.Random, sender: Sender) -> Case:
    body = rng.choice(JSON)
    if rng.random() < 0.3:
        body = bytes(rng.getrandbits(8) for _ in range(rng.randrange(200)))
    lines = sender.headers(body, rng)
    if rng.random() < 0.2:
        lines[0] = b"Content-Type: application/x-www-form-urlencoded"
        body = b"payload=" + body
        lines[3] = sender.headers(body, rng)[3]
    return Case("body", (_hook(sender, [*lines, _length(body)], body),))


def _bad_names(rng: random.Random, sender: Sender) -> Case:
    user = {"login": "octocat"}
    places = {
        "action": "created",
        "issue.number": 1,
        "issue.title": "A title",
        "issue.html_url": "https://github.com/octo-org/api/issues/1",
        "issue.body": "",
        "issue.labels": [],
        "issue.user": user,
        "comment.body": "A remark.",
        "comment.user": user,
        "repository.full_name": "octo-org/api",
        "sender": user,
        "ref": "refs/heads/main",
    }
    for place in rng.sample([*places], rng.choice([1, 1, 1, 2, 4])):
        name = rng.choice(NAMES)
        kinds = {"user": {"login": name}, "sender": {"login": name}, "labels": [{"name": name}, name], "number": 2**63}
        places[place] = kinds.get(place.rpartition(".")[2], name)
    document: dict[str, Any] = {}
    for place, value in places.items():
        outer, _, inner = place.rpartition(".")
        (document.setdefault(outer, {}) if outer else document)[inner] = value
    body = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")
    return Case("names", (_hook(sender, [*sender.headers(body, rng), _length(body)], body),))


def _flipped_bytes(rng: random.Random, sender: Sender) -> Case:
    body = b'{"action": "created", "n": %d}' % rng.getrandbits(64)
    data = bytearray(_hook(sender, [*sender.headers(body, rng), _length(body)], body))
    for _ in range(rng.choice([1, 1, 1, 3, 30])):
        at = rng.randrange(len(data))
        data[at : at + rng.choice([0, 1, 1, 5])] = bytes([rng.getrandbits(8)] * rng.choice([0, 1, 1, 2]))
    return Case("flipped", (bytes(data),), HALF)


def _cut_off(rng: random.Random, sender: Sender) -> Case:
    body = b'{"action": "created", "filler": "%s"}' % (b"y" * rng.randrange(5000))
    data = _hook(sender, [*sender.headers(body, rng), _length(body)], body)
    at = rng.randrange(1, len(data))
    return Case("torn", (data[:at],), rng.choice([HALF, RESET]))


def _bad_api_request(rng: random.Random, _sender: Sender) -> Case:
    def name() -> str:
        plain = rng.choice([*NAMES, "0" * 40, "-1", "1e3", "9" * 30, "abcdef", "state:x", 'is:"', "-", "age:<9999999d"])
        encoded = plain.encode(errors="surrogatepass")
        return "".join(f"%{byte:02x}" for byte in encoded) if rng.random() < 0.8 else "x"

    if rng.random() < 0.5:
        path = rng.choice(PATHS)
        path = path.format(*(name() for _ in range(path.count("{}"))))
        line = b" ".join([rng.choice([b"GET", b"GET", b"HEAD", b"DELETE"]), path.encode(), b"HTTP/1.1"])
        return Case("api", (b"\r\n".join([line, b"Host: localhost", b"Connection: close", b"", b""]),))
    path = rng.choice(POSTS)
    path = path.format(*(name() for _ in range(path.count("{}"))))
    body = rng.choice(JSON)
    if rng.random() < 0.6:
        keys = [
            "type",
            "repository",
            "ref",
            "prompt",
            "metadata",
            "q",
            "action",
            "text",
            "deliveryId",
            "source",
            "body",
        ]
        values: list[Any] = [*NAMES, 2**70, -(2**63), 1.5e308, None, True, [], {}, {"a": [{}]}, {"\x00": 2**64}]
        body = json.dumps({key: rng.choice(values) for key in rng.sample(keys, 4)}).encode()
    return Case("api", (_post(path.encode(), [b"Content-Type: application/json", _length(body)], body),))
