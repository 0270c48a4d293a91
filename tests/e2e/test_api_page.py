"""docs/api.md: every request is answered by a daemon as the page says, and its table has every route."""

import base64
import hmac
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from multidict import CIMultiDict

from stitcherd.http.openapi import OPENAPI
from stitcherd.http.routes import ROUTES
from stitcherd.sources import SOURCES, BadSignature
from tests import stores
from tests.e2e.harness import FINAL_STATUSES, HERE, ROOT, TOKEN, DaemonHarness, wait_until
from tests.e2e.http_client import TIMEOUT
from tests.e2e.shapes import ID, TIME
from tests.e2e.webhooks import SECRETS

PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
DEFINITIONS, *REQUESTS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ANSWERS = re.findall(r"^```(json|text)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PROGRAMS = ("curl", "openssl", "sed", "grep", "head")
AGENT = 'read -r line; case $line in *hour*) sleep 60;; esac; echo "the last row" >> readme; echo changed'
SETTINGS = f"""
[executors.scribe]
kind = "command"
argv = ["/bin/sh", "-c", {json.dumps(AGENT)}]
"""
UNBOUND = {"GET /meta", "GET /openapi.json", "POST /rails/explain"}  # of those without a permission, what tokens may


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    """A daemon whose first events are past their retention."""
    rails = (HERE / "rails.yaml").read_text().replace("executor: agent", "executor: scribe")
    with DaemonHarness(settings=SETTINGS, rails=rails) as built:
        built.start()
        built.run("free", repository=None)
        built.stop()
        built.write_settings()
        with (built.config / "stitcherd.toml").open("a") as file:
            file.write('[retention]\nevents = "1ms"\n')
        built.spawn()
        built.await_ready()
        wait_until(lambda: built.request("GET", "/runner-jobs").json["items"] == [], "retention removes the job")
        built.stop()
        built.start()
        yield built


@pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {', '.join(PROGRAMS)}")
def test_each_request_is_answered_as_the_page_says(daemon: DaemonHarness) -> None:
    assert len(REQUESTS) == len(ANSWERS)
    words = {"OLD": "1", "TOKEN": TOKEN, "MOSAIC_WEBHOOK_SECRET": SECRETS["mosaic"]}
    environ = {"PATH": os.environ["PATH"], "STITCHER_SOCKET": str(daemon.socket)}
    faults: list[tuple[str, ...]] = []
    for request, (form, shown) in zip(REQUESTS, ANSWERS, strict=True):
        script = (DEFINITIONS + request).replace("127.0.0.1:8466", f"127.0.0.1:{daemon.port}")
        if form == "text":  # a stream may need longer than the page waits for it
            wait_until(partial(_prints, script, environ | words, shown), f"{request} prints {shown}")
            continue
        answer = json.loads(_output(script, environ | words))
        if stores.kind == "postgres":  # where leases have an end
            shown = shown.replace('"until": null', '"until": "2026-11-27T16:03:08.113Z"')  # noqa: PLW2901
        if differences := _differences(json.loads(shown), answer):
            faults.append((request, *differences))
        words |= _ids(answer)
        if "JOB" in words:
            _settle(daemon, words["JOB"])
    assert faults == []


def _output(script: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-eu", "-c", script], env=environ, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, (script, done.stderr)
    return done.stdout.strip()


def _prints(script: str, environ: dict[str, str], shown: str) -> bool:
    return re.fullmatch(_pattern(shown.strip()), _output(script, environ)) is not None


def _ids(answer: Any) -> dict[str, str]:
    """Return what the next requests of the page call ids that an answer has."""
    found = {"DELIVERY": answer.get("deliveryId"), "NEXT": answer.get("next"), "JOB": answer.get("jobId")}
    for job in (answer, *answer.get("items", ())):
        if "attempt" in job:
            found["JOB"] = job["id"]
        found["STEP"] = next((step["id"] for step in job.get("steps", ()) if step["type"] == "AI_ACTION"), None)
    return {name: value for name, value in found.items() if value}


def _settle(daemon: DaemonHarness, job_id: str) -> None:
    """Wait until a job has ended, or its agent has begun to wait."""
    job = daemon.job(job_id)
    if job["status"] in FINAL_STATUSES:
        return
    if "hour" in job["prompt"] and not job["cancelRequested"]:
        daemon.step(job_id, "scribe")
    else:
        daemon.wait(job_id)


def _differences(shown: Any, actual: Any, place: str = "$") -> list[str]:
    """Return where an answer is not what is shown of it: numbers, ids and times may be others, and … is anything."""
    match shown:
        case dict() if isinstance(actual, dict):
            missing = [f"{place}.{name}: missing" for name in shown.keys() - actual.keys()]
            known = shown.keys() & actual.keys()
            return missing + [
                fault for name in known for fault in _differences(shown[name], actual[name], f"{place}.{name}")
            ]
        case [] if actual != []:
            return [f"{place}: {actual!r} is not empty"]
        case list() if isinstance(actual, list):
            return [f"{place}: there is no {each!r}" for each in shown if all(_differences(each, it) for it in actual)]
        case str() if isinstance(actual, str):
            fits = re.fullmatch(_pattern(shown), actual) is not None
        case bool() | None:
            fits = actual is shown
        case int() | float():
            fits = isinstance(actual, int | float) and not isinstance(actual, bool)
        case _:
            fits = False
    return [] if fits else [f"{place}: {actual!r} is not {shown!r}"]


def _pattern(shown: str) -> str:
    for kind in (ID, TIME):
        if kind.fullmatch(shown):
            return kind.pattern
    return ".*".join(map(re.escape, shown.split("…")))


@pytest.mark.parametrize("kind", SOURCES)
def test_each_kind_of_source_accepts_the_signature_of_the_table(kind: str) -> None:
    (told,) = re.findall(rf"^\| `{kind}` \| (.*?) \| `", PAGE, re.MULTILINE)
    body, secret, now = b'{"a": 1}', b"the-secret", 1_795_356_300_000
    signed = {"webhook-id": "msg-1", "webhook-timestamp": str(now // 1000)}
    content = body if kind != "standard" else b".".join((b"msg-1", signed["webhook-timestamp"].encode(), body))
    proof = hmac.digest(secret, content, "sha256")
    forms = re.findall(r"`([\w-]+): ([^`]+)`", told) or [("X-Gitlab-Token", secret.decode())]
    for header, form in forms:
        value = form.replace("HEX", proof.hex()).replace("BASE64", base64.b64encode(proof).decode())
        headers = CIMultiDict({**signed, header: value})
        assert SOURCES[kind].verify(headers, body, [b"another", secret], now) == 2
        with pytest.raises(BadSignature):
            SOURCES[kind].verify(headers, body, [b"another"], now)


def test_each_route_is_in_the_table_of_its_permission() -> None:
    rows = dict(re.findall(r"^\| (nothing|any token|the operator|`[a-z]+:[a-z]+`) \| (.*) \|$", PAGE, re.MULTILINE))
    told = {needs.strip("`"): set(re.findall(r"`((?:GET|POST) /\S+)`", routes)) for needs, routes in rows.items()}
    routes: dict[str, set[str]] = {}
    for route in (*ROUTES, OPENAPI):
        name = f"{route.method} {route.path}"
        needs = "nothing" if route.public else route.permission or ("any token" if name in UNBOUND else "the operator")
        routes.setdefault(needs, set()).add(name)
    explained = routes["any token"] & {"POST /rails/explain"}
    routes["any token"] -= explained
    for permission in ("deliveries:read", "rails:read"):
        routes[permission] |= explained
    assert told == routes
