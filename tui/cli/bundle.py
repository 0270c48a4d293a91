"""Everything that the daemon tells of one job, as files with readable names; what it cannot tell is said why."""

import os
import platform
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from shared import VERSION, ids
from shared.api import RailsState
from shared.models import JobStep, RunnerJob
from tui.cli.verbs import show
from tui.client.http import ApiError, DaemonClient, decode, delivery_path, job_path
from tui.text import decisions
from tui.text.plain import plain

README = "README.txt"
MISSING = b"What could not be had:"
_PAGE = "500"
_ABOUT = """\
Everything that Stitcher tells of one job. Secrets that stitcherd.toml names are blotted out; source code, prompts and
what people wrote are not: look before you hand it on.

job.txt         the job as `stitcher show` prints it
job.json        the job as the API gives it, with its steps, its last events and its decision
events.jsonl    all its events, the oldest first
decision.txt    why it was allowed to run, check by check
delivery.json   the webhook that asked for it, if one did, without its body
rails.yaml      the rails that it ran under
logs/           the whole output of each step: attempt, number of the step, name
changes/        what the agent changed, by attempt
versions.json   who ran it, and who wrote this
"""


class _Page(msgspec.Struct):
    """Events as they came: what this client does not know of them is kept too."""

    items: list[msgspec.Raw]
    next: int | None = None


Part = tuple[str, Callable[[], bytes | None]]


def bundle_files(daemon: DaemonClient, job_id: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file, README last; raises Refused where there is no such job.

    A part that the daemon refuses is left out, and README says why; Unreachable in between is raised.
    """
    document = daemon.get(job_path(job_id))
    job = decode(document, RunnerJob)
    missing = []
    for name, fetch in _bundle_parts(daemon, document, job):
        try:
            content = fetch()
        except ApiError as refused:
            missing.append(f"{name}: {refused}")
        else:
            if content is not None:
                yield name, content
    absent = "".join(f"  {line}\n" for line in missing)
    yield README, _ABOUT.encode() + (b"\n" + MISSING + b"\n" + absent.encode() if missing else b"")


def _bundle_parts(daemon: DaemonClient, document: bytes, job: RunnerJob) -> Iterator[Part]:
    yield "job.json", lambda: _formatted(decode(document, dict))
    yield "job.txt", lambda: _text(show.job_lines(job, ids.now_ms(), _uncoloured))
    yield "decision.txt", lambda: _decision(job)
    yield "events.jsonl", lambda: _events(daemon, job.id)
    if job.delivery_id:
        delivery = delivery_path(job.delivery_id)
        yield "delivery.json", lambda: _formatted(decode(daemon.get(delivery), dict))
    yield "rails.yaml", lambda: _rails(daemon, job.rails_revision)
    for step in job.steps or ():
        if step.output_bytes:
            yield _log_name(step), _fetcher(daemon, f"{job_path(job.id)}/steps/{step.id}/log")
    for attempt in range(1, job.attempt + 1):
        if _has_diff(job, attempt):
            path = f"{job_path(job.id)}/diff"
            yield f"changes/attempt-{attempt}.diff", _fetcher(daemon, path, ("attempt", str(attempt)))
    yield "versions.json", lambda: _versions(daemon)


def _fetcher(daemon: DaemonClient, path: str, *query: tuple[str, str]) -> Callable[[], bytes]:
    return lambda: daemon.get(path, query)


def _has_diff(job: RunnerJob, attempt: int) -> bool:
    """Only what an agent left behind is committed and has a diff."""
    return any(step.attempt == attempt and step.try_ is not None for step in job.steps or ())


def _events(daemon: DaemonClient, job_id: str) -> bytes:
    lines: list[bytes] = []
    after: int | None = 0
    while after is not None:
        page = decode(daemon.get(f"{job_path(job_id)}/events", [("after", str(after)), ("limit", _PAGE)]), _Page)
        lines += [bytes(item) + b"\n" for item in page.items]
        after = page.next
    return b"".join(lines)


def _rails(daemon: DaemonClient, revision: str) -> bytes | None:
    state = decode(daemon.get("/rails"), RailsState)
    if state.revision != revision:
        state = decode(daemon.get("/rails", [("against", revision)]), RailsState)
        return state.before_text.encode() if state.before_text else None
    return state.text.encode() if state.text else None


def _decision(job: RunnerJob) -> bytes | None:
    if not job.decision:
        return None
    return _text(
        [decisions.verdict_headline(job.decision.verdict)[0], *decisions.decision_lines(job.decision, _uncoloured)]
    )


def _versions(daemon: DaemonClient) -> bytes:
    system = os.uname()
    said = {
        "daemon": decode(daemon.get("/meta"), dict),
        "client": VERSION,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{system.sysname} {system.release} {system.machine}",
    }
    return _formatted(said)


def _formatted(document: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _log_name(step: JobStep) -> str:
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in plain(step.name))[:60]
    return f"logs/{step.attempt}-{step.ordinal:02}-{name}.log"


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _uncoloured(text: str, _colour: str) -> str:
    return text
