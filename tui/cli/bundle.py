"""The files of a bundle: everything that the daemon knows about one job, under readable names."""

import os
import platform
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from shared import VERSION, ids
from shared.models import JobStep, RunnerJob
from tui.cli.verbs.show import job_lines
from tui.client import api
from tui.client.http import ApiError, DaemonClient, decode
from tui.client.replies import Reply
from tui.text.decisions import decision_lines, verdict_headline
from tui.text.plain import plain

README = "README.txt"
MISSING = b"Not included:"
_README_TEXT = """\
Everything that Stitcher knows about one job. Secrets configured in stitcherd.toml are redacted; source code, prompts
and what people wrote are not: check the contents before you share it.

job.txt         the job as `stitcher show` prints it
job.json        the job as the API returns it, with its steps, its last events and its decision
events.jsonl    all its events, oldest first
decision.txt    why it was allowed to run, check by check
delivery.json   the webhook that created it, if one did, without its body
rails.yaml      the rails that it ran under
logs/           the whole output of each step: attempt, number of the step, name
changes/        what the agent changed, by attempt
versions.json   the versions of the daemon, of this client and of their environment
"""

Part = tuple[str, Callable[[], bytes | None]]  # a name, and what returns the content; None leaves the file out


def bundle_files(client: DaemonClient, job_id: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file, README last; raises ApiError if there is no such job.

    A part that the daemon refuses is left out and listed in README; a lost connection raises DaemonUnreachable.
    """
    reply = api.get_job(client, job_id)
    missing = []
    for name, fetch in _bundle_parts(client, reply):
        try:
            content = fetch()
        except ApiError as error:
            missing.append(f"{name}: {error}")
        else:
            if content is not None:
                yield name, content
    lines = "".join(f"  {line}\n" for line in missing)
    yield README, _README_TEXT.encode() + (b"\n" + MISSING + b"\n" + lines.encode() if missing else b"")


def _bundle_parts(client: DaemonClient, reply: Reply[RunnerJob]) -> Iterator[Part]:
    job = reply.value
    yield "job.json", lambda: _indented(reply.raw)
    yield "job.txt", lambda: _text(job_lines(job, ids.now_ms(), _uncoloured))
    yield "decision.txt", lambda: _decision(job)
    yield "events.jsonl", lambda: b"".join(event.raw + b"\n" for event in api.iter_job_events(client, job.id))
    if job.delivery_id:
        delivery_id = job.delivery_id
        yield "delivery.json", lambda: _indented(api.get_delivery(client, delivery_id).raw)
    yield "rails.yaml", lambda: _rails(client, job.rails_digest)
    for step in job.steps or ():
        if step.output_bytes:
            yield _log_name(step), api.step_log(client, job.id, step.id).read
    for attempt in range(1, job.attempt + 1):
        if _has_diff(job, attempt):
            yield f"changes/attempt-{attempt}.diff", api.diff(client, job.id, attempt).read
    yield "versions.json", lambda: _versions(client)


def _has_diff(job: RunnerJob, attempt: int) -> bool:
    """Return whether an executor ran in an attempt: only then is there a commit."""
    return any(step.attempt == attempt and step.try_ is not None for step in job.steps or ())


def _rails(client: DaemonClient, digest: str) -> bytes | None:
    state = api.get_rails(client).value
    if state.digest != digest:
        state = api.get_rails(client, against=f"r-{digest}").value
        return state.before_text.encode() if state.before_text else None
    return state.text.encode() if state.text else None


def _decision(job: RunnerJob) -> bytes | None:
    if not job.decision:
        return None
    return _text([verdict_headline(job.decision.verdict)[0], *decision_lines(job.decision, _uncoloured)])


def _versions(client: DaemonClient) -> bytes:
    system = os.uname()
    versions = {
        "daemon": msgspec.Raw(api.get_meta(client).raw),
        "client": VERSION,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{system.sysname} {system.release} {system.machine}",
    }
    return _indented(msgspec.json.encode(versions))


def _indented(document: bytes) -> bytes:
    return msgspec.json.format(msgspec.json.encode(decode(document, dict[str, Any]))) + b"\n"


def _log_name(step: JobStep) -> str:
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in plain(step.name))[:60]
    return f"logs/{step.attempt}-{step.ordinal:02}-{name}.log"


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _uncoloured(text: str, _colour: str) -> str:
    return text
