"""`stitcher show`: shows one job with its steps, last events and result, what its agent changed, or was sent and said.

Of a job that waits for an approval it shows the whole prompt.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from itertools import groupby

from msgspec import UNSET, json

from shared import ids
from shared.models import JobEvent, JobStep, RunnerJob, Status, StepStatus, StepType
from tui.cli import exits
from tui.cli.parser import ID_HELP, daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import ApiError
from tui.text.answers import job_answer
from tui.text.decisions import Paint
from tui.text.diffs import diff_colour, diff_line
from tui.text.events import payload_text
from tui.text.jobs import DASH, STEP_STYLES, changes, cost, elapsed, job_state, location, more_summary, start_text
from tui.text.links import opened_change, thread_url
from tui.text.plain import plain, truncate
from tui.text.table import align_columns, join_cells
from tui.text.times import duration, time_of_day

_LAST_EVENTS = 12
_OUTPUT_LINES = 6  # of a failed step


def arguments(parser: ArgumentParser) -> None:
    """Add the job, and what to show instead."""
    parser.add_argument("job", metavar="JOB", help=ID_HELP)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--diff", action="store_true", help="show the diff instead; unchanged into a file or a pipe")
    instead.add_argument(
        "--conversation", action="store_true", help="show what the agent of each try was sent and answered instead"
    )
    instead.add_argument(
        "--raw", action="store_true", help="show what the agent of each try wrote in the form of its own instead"
    )


def run(options: Namespace, terminal: Terminal) -> int:
    """Print one job, its diff, or texts of its tries."""
    if options.diff:
        return _diff(options, terminal)
    if options.conversation or options.raw:
        return _texts_of_tries(options, terminal)
    reply = api.get_job(daemon_client(options), options.job)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    for line in job_lines(reply.value, ids.now_ms(), terminal.paint, terminal.link):
        terminal.data(line)
    return exits.OK


def _diff(options: Namespace, terminal: Terminal) -> int:
    diff = api.diff(daemon_client(options), options.job).read()
    if options.json:
        terminal.document(json.encode({"diff": diff.decode("utf-8", "replace")}))
    elif not terminal.stdout_is_terminal:
        terminal.raw(diff)
    else:
        for line in map(diff_line, diff.removesuffix(b"\n").split(b"\n") if diff else ()):
            colour = diff_colour(line)
            terminal.data(terminal.paint(line, colour) if colour else line)
    if not diff:
        terminal.note("nothing was changed")
    return exits.OK


def _texts_of_tries(options: Namespace, terminal: Terminal) -> int:
    """Print the conversation or the raw output of each try; exit 5 where no try has one."""
    client = daemon_client(options)
    job = api.get_job(client, options.job).value
    request = api.raw_step_log if options.raw else api.conversation
    refused: ApiError | None = None
    found = False
    for step in job.steps or ():
        if step.type is not StepType.AI_ACTION:
            continue
        try:
            text = request(client, job.id, step.id).read()
        except ApiError as error:
            refused = error
            continue
        found = True
        _print_text(step, text, options, terminal)
    if found:
        return exits.OK
    if refused is not None:
        raise refused
    terminal.note("stitcher: no agent was started for this job yet")
    return exits.NOT_FOUND


def _print_text(step: JobStep, text: bytes, options: Namespace, terminal: Terminal) -> None:
    if options.json:
        place = {"attempt": step.attempt, "try": step.try_, "stepId": step.id}
        terminal.document(json.encode({**place, "text": text.decode("utf-8", "replace")}))
    elif not terminal.stdout_is_terminal:
        terminal.raw(text)
    else:
        terminal.data(terminal.paint(f"attempt {step.attempt}, try {step.try_}: {plain(step.name)}", "bold"))
        for line in text.decode("utf-8", "replace").removesuffix("\n").split("\n"):
            terminal.data(plain(line.expandtabs()))


def job_lines(
    job: RunnerJob, now: int, paint: Paint, link: Callable[[str, str | None], str] = lambda text, _: text
) -> list[str]:
    """Return everything that `stitcher show` prints of a job, at `now` in milliseconds."""
    state = job_state(job)
    title = f'"{plain(job.thread.title)}"' if job.thread and job.thread.title else ""
    head = [
        paint(ids.short_id(job.id), "bold"),
        paint(f"{state.glyph} {state.word}", state.colour),
        plain(job.type),
        link(location(job.repository, job.thread), thread_url(job)),
        title,
    ]
    lines = ["  ".join(filter(None, head))]
    lines += [f"  {paint(f'{name:9}', 'dim')} {value}" for name, value in _facts(job, now)]
    if job.status is Status.PENDING and job.prompt is not UNSET:  # what an approval is of
        lines += ["", "prompt", *(f"  {plain(line.expandtabs())}".rstrip() for line in job.prompt.splitlines())]
    if job.steps:
        lines += ["", "steps", *_step_tree(job.steps, paint)]
    if job.events:
        lines += ["", "last events", *map(_event_line, job.events[-_LAST_EVENTS:])]
    return lines


def last_lines(output: str, count: int) -> list[str]:
    """Return the last lines of an output that are not blank."""
    return [line for line in output.splitlines() if line.strip()][-count:]


def _facts(job: RunnerJob, now: int) -> list[tuple[str, str]]:
    price = f", {cost(job)}" if job.usage.cost_usd else ""
    facts = [
        ("id", plain(job.id)),
        ("asked by", f"{plain(job.actor)} at {plain(job.created_at)}"),
        ("runs as", f"{plain(job.profile)} on {plain(job.executor)}, priority {job.priority}"),
        ("tries", f"{job.tries.used} of {job.tries.max} in attempt {job.attempt}, {elapsed(job, now)}{price}"),
        ("branch", f"{plain(job.branch)} from {start_text(job)}"),
    ]
    facts += [(name, text) for name, text in (("thread", thread_url(job)), ("change", opened_change(job))) if text]
    if job.held:
        facts.append(("held", plain(job.held)))
    if job.error:
        facts.append(("error", f"{plain(job.error.code)}: {plain(job.error.detail)}"))
        if job.error.hint:
            facts.append(("", plain(job.error.hint)))
    if job.result:
        result = job.result
        facts.append(("result", f"{plain(result.commit)}, {changes(result)}" if result.commit else "no change"))
        facts += [("", plain(line)) for line in more_summary(result)]
    if job.answers:
        facts += [("answers" if at == 0 else "", job_answer(each)) for at, each in enumerate(job.answers)]
    if job.decision:
        decision = job.decision
        why = f"(stitcher why {ids.short_id(job.id)})"
        facts.append(("rails", f"{decision.verdict.value}: {plain(decision.reason)} {why}"))
    return facts


def _step_tree(steps: tuple[JobStep, ...], paint: Paint) -> list[str]:
    table = align_columns([_step_cells(step) for step in steps], right={2})
    rows = zip(steps, table, strict=True)
    lines = []
    last_attempt = max(step.attempt for step in steps)
    for (attempt, number), group in groupby(rows, key=lambda row: (row[0].attempt, row[0].try_)):
        indent = "  "
        if number is not None:
            lines.append(f"  ▼ try {number}" + (f" of attempt {attempt}" if last_attempt > 1 else ""))
            indent = "    "
        for step, cells in group:
            style = STEP_STYLES[step.status]
            lines.append(f"{indent}{paint(style.glyph, style.colour)} {join_cells(cells)}")
            if step.status is StepStatus.FAILED:
                output = last_lines(step.output, _OUTPUT_LINES)
                lines += [f"{indent}    {truncate(plain(line.expandtabs()), 160)}" for line in output]
    return lines


def _step_cells(step: JobStep) -> list[str]:
    name = f"gate {plain(step.name)}" if step.type is StepType.GATE else plain(step.name)
    took = DASH if step.duration_ms is None else duration(step.duration_ms)
    exit_code = f"exit {step.exit_code}" if step.exit_code else ""
    return [name, step.phase.value.lower(), took, STEP_STYLES[step.status].word, exit_code]


def _event_line(event: JobEvent) -> str:
    when = time_of_day(plain(event.timestamp))
    return f"  {when}  {plain(event.type):16}  {truncate(payload_text(event.payload), 100)}".rstrip()
