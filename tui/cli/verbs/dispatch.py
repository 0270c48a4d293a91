"""`stitcher dispatch`: starts a job manually."""

from argparse import ArgumentParser, Namespace

from shared import ids
from shared.api import JobRequest
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import ApiError, NotUtf8
from tui.text.decisions import decision_lines
from tui.text.jobs import job_state, location, missing_task
from tui.text.plain import plain


def arguments(parser: ArgumentParser) -> None:
    """Add the fields of the job."""
    parser.add_argument("type", metavar="TYPE", help="a job type of the rails")
    parser.add_argument("--repo", metavar="OWNER/NAME", help="the repository; without one, an empty directory")
    parser.add_argument(
        "--ref", metavar="REF", help="the branch, tag, commit or full ref (refs/pull/7/head) to start from"
    )
    parser.add_argument("--prompt", metavar="TEXT|-", help="the task; - reads it from stdin")
    parser.add_argument("--agent", metavar="TASK", help="the agent task that the job belongs to")
    parser.add_argument("--priority", metavar="N", type=int, help="0 to 10, 10 starts first (default 5)")
    parser.add_argument("--key", metavar="KEY", help="idempotency key: with the same job again, returns the first job")


def run(options: Namespace, terminal: Terminal) -> int:
    """Create the job and print its short id; if it is denied, print the checks."""
    request = _request(options, terminal)
    if missing := missing_task(request):
        terminal.note(f"stitcher: {missing}, with --repo OWNER/NAME or --prompt TEXT")
        return exits.USAGE
    try:
        reply = api.create_job(daemon_client(options), request)
    except ApiError as error:
        if error.problem.decision:
            for line in decision_lines(error.problem.decision, lambda text, _colour: text):
                terminal.note(line)
        raise
    job = reply.value
    if options.json:
        terminal.document(reply.raw)
    else:
        terminal.data(ids.short_id(job.id))
        state = job_state(job)
        terminal.note(f"{state.glyph} {state.word}: {plain(job.type)} on {location(job.repository, job.thread)}")
    return exits.OK


def _request(options: Namespace, terminal: Terminal) -> JobRequest:
    prompt = options.prompt
    if prompt == "-":
        try:
            prompt = terminal.read()
        except UnicodeDecodeError as error:
            raise NotUtf8("the prompt on stdin is not UTF-8") from error
    return JobRequest(
        type=options.type,
        prompt=prompt,
        repository=options.repo,
        ref=options.ref,
        agent_task_id=options.agent,
        priority=options.priority,
        idempotency_key=options.key,
    )
