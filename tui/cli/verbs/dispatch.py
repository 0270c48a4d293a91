"""`stitcher dispatch`: start a job by hand."""

from argparse import ArgumentParser, Namespace

import msgspec

from shared import ids
from shared.models import Decision, RunnerJob
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import ApiError, InvalidResponse, NotUtf8, decode
from tui.text import decisions
from tui.text.jobs import job_state, location
from tui.text.plain import plain

_FIELDS = {
    "repo": "repository",
    "ref": "ref",
    "prompt": "prompt",
    "agent": "agentTaskId",
    "priority": "priority",
    "key": "idempotencyKey",
}


class _Denied(msgspec.Struct):
    decision: Decision | None = None


def arguments(parser: ArgumentParser) -> None:
    """Add what the job is made of."""
    parser.add_argument("type", metavar="TYPE", help="a job type of the rails")
    parser.add_argument(
        "--repo", metavar="OWNER/NAME", help="the repository to work on; without one, an empty directory"
    )
    parser.add_argument("--ref", metavar="REF", help="what to start from: a branch, a tag or a commit")
    parser.add_argument("--prompt", metavar="TEXT|-", help="the task; - reads it from stdin")
    parser.add_argument("--agent", metavar="TASK", help="the agent task that the job belongs to")
    parser.add_argument("--priority", metavar="N", type=int, help="0 to 10, and 10 goes first (default 5)")
    parser.add_argument("--key", metavar="KEY", help="the same key and job again give the first job, not a second")


def run(options: Namespace, terminal: Terminal) -> int:
    """Create the job and print its short id; a refusal comes with its checks."""
    if options.prompt == "-":
        try:
            options.prompt = terminal.read()
        except UnicodeDecodeError as error:
            raise NotUtf8("the prompt on stdin is not UTF-8") from error
    given = {name: value for option, name in _FIELDS.items() if (value := getattr(options, option)) is not None}
    try:
        document = daemon_client(options).post("/runner-jobs", {"type": options.type, **given})
    except ApiError as refused:
        _explain(refused.document, terminal)
        raise
    job = decode(document, RunnerJob)
    if options.json:
        terminal.document(document)
    else:
        terminal.data(ids.short_id(job.id))
        state = job_state(job)
        terminal.note(f"{state.glyph} {state.word}: {plain(job.type)} on {location(job.repository, job.thread)}")
    return exits.OK


def _explain(document: bytes, terminal: Terminal) -> None:
    try:
        decision = decode(document, _Denied).decision
    except InvalidResponse:
        return
    if decision:
        for line in decisions.decision_lines(decision, lambda text, _colour: text):
            terminal.note(line)
