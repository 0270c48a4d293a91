"""Twenty real webhooks, mutated to be hostile or odd, each sent to a real daemon."""

import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import ROOT, DaemonHarness
from tests.e2e.webhooks import SECRETS

CORPUS = ROOT.parent / "shared" / "payloads"
SECRET = SECRETS["github"]
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not part of the project")

SETTINGS = "\n".join(
    f'[sources.{name}]\nkind = "{kind}"\nsecrets = [{{env = "E2E_SECRET"}}]\nbot = "mosaic"\n'
    for name, kind in (("hub", "github"), ("tea", "gitea"), ("lab", "gitlab"))
)
RAILS = """
version: 1
people:
  team: {users: ["hub:Codertocat", "tea:example", "lab:root"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write], executor: agent}
jobs:
  fix: {profile: weaver, needs: [repo:write]}
  look: {profile: weaver}
triggers:
  - {id: word, on: [issue.comment, change.comment], command: fix, from: [team], job: fix}
  - {id: assigned, on: [issue.assigned], assignee: "@bot", from: [team], job: fix}
  - {id: opened, on: [change.opened], from: [team], job: look}
guards:
  - {id: fork-change, if: {change_from_fork: true}, then: deny}
"""
SOURCES = {"github": "hub", "gitea": "tea", "gitlab": "lab"}

STRANGERS = {"assoc-lies-owner": "drive-by", "bot-sender": "renovate[bot]"}
ALLOWED = (202, "allowed", "trigger word")
IGNORED = (200, "ignored", "no trigger matches: ")
EXPECTED: dict[str, tuple[int, str, str]] = {
    "mention-plain": ALLOWED,
    "mention-gitea": ALLOWED,
    "mention-gitlab": ALLOWED,
    "mention-case": ALLOWED,
    "redelivered": ALLOWED,
    "mention-quoted": IGNORED,
    "mention-inline-code": IGNORED,
    "mention-midline": IGNORED,
    "mention-email": IGNORED,
    "mention-unknown-command": IGNORED,
    "assigned-to-other": IGNORED,
    "gitea-as-github": IGNORED,
    "self-comment": (200, "ignored", "written by mosaic itself"),
    "unknown-event": (200, "ignored", "brand_new_event"),
    "bot-sender": (200, "denied", "who: hub:renovate[bot] is in none of team"),
    "assoc-lies-owner": (200, "denied", "who: hub:drive-by is in none of team"),
    "fork-pr": (200, "denied", "guard fork-change"),
    "nasty-branch": (202, "allowed", "trigger opened"),
    "bad-signature": (401, "bad_signature", "no secret of source hub"),
    "truncated-json": (400, "bad_request", "JSON"),
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    with DaemonHarness(rails=RAILS, settings='[repositories."*"]\nclone = "/srv/git/{name}.git"\n' + SETTINGS) as built:
        built.start()
        built.cli("pause")  # allowed jobs are stored, and need not run
        yield built


def mutated(case: dict[str, Any], number: int) -> tuple[str, dict[str, str], bytes]:
    """Return the source, the headers and the body of a case, signed again, on a thread of its own."""
    path = CORPUS.parent / case["base"]
    body = json.loads(path.read_text())
    thread = body.get("issue") or body.get("pull_request") or {}
    for name in ("number", "iid"):
        if name in thread:
            thread[name] = number
    if "number" in body:
        body["number"] = number
    for pointer, value in case["set"].items():
        *way, last = pointer.split("/")[1:] or [""]
        here = body
        for part in way:
            here = here[int(part) if isinstance(here, list) else part]
        if pointer:
            here[last] = value
    if case["id"] in STRANGERS:  # a command counts only if its sender wrote it
        body["sender"]["login"] = body["comment"]["user"]["login"] = STRANGERS[case["id"]]
    if case["id"] == "redelivered":
        body["comment"]["body"] = "@mosaic fix please"
    raw = json.dumps(body).encode()
    if case["id"] == "truncated-json":
        raw = raw[:-1]
    proof = hmac.digest(SECRET.encode(), raw, "sha256").hex()
    stored = json.loads(path.with_suffix(".headers.json").read_text())
    headers = {key: value for key, value in stored.items() if not key.lower().startswith("webhook-")}
    again = {"X-Hub-Signature-256": f"sha256={proof}", "X-Gitea-Signature": proof, "X-GitHub-Delivery": f"d-{number}"}
    again |= {"X-Gitlab-Token": SECRET, "X-Gitea-Delivery": f"d-{number}", "Idempotency-Key": f"d-{number}"}
    headers |= {key: value for key, value in again.items() if key in headers}
    headers |= {key: value for key, value in case["headers"].items() if not value.startswith("(")}
    return SOURCES[Path(case["base"]).parts[1]], headers, raw


@pytest.mark.parametrize("name", EXPECTED)
def test_a_mutated_delivery(daemon: DaemonHarness, name: str) -> None:
    cases = {each["id"]: each for each in json.loads((CORPUS / "mutations.json").read_text())}
    number = 1000 + list(EXPECTED).index(name)
    source, headers, body = mutated(cases[name], number)
    before = len(daemon.get("/deliveries?limit=500")["items"])
    reply = daemon.public("POST", f"/stitcher/webhook/{source}", body, headers)
    status, outcome, part = EXPECTED[name]
    assert reply.status == status, reply.body
    stored = daemon.get("/deliveries?limit=500")["items"]
    if status >= 400:
        assert (reply.json["code"], len(stored)) == (outcome, before)
        assert part in reply.json["detail"]
        return
    assert reply.json["verdict"] == outcome
    assert part in reply.json["reason"]
    assert (stored[0]["source"], stored[0]["sender"].partition(":")[0]) == (source, source)
    decision = daemon.get(f"/deliveries/{reply.json['deliveryId']}")["decision"]
    if name == "mention-unknown-command":
        assert "did you mean fix?" in {check["because"] for check in decision["checks"]}
    if name == "redelivered":
        again = daemon.public("POST", f"/stitcher/webhook/{source}", body, headers)
        assert (again.status, again.json["verdict"]) == (200, "duplicate")
        assert again.json["jobId"] == reply.json["jobId"]
        assert len(daemon.get("/deliveries?limit=500")["items"]) == before + 1


def test_every_mutation_has_an_expectation() -> None:
    assert {each["id"] for each in json.loads((CORPUS / "mutations.json").read_text())} == set(EXPECTED)
