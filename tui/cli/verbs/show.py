"""`stitcher show`: one job, its steps as a tree, its last events and what came of it; or what its agent changed."""

from argparse import ArgumentParser, Namespace
from itertools import groupby

import msgspec

from shared import ids
from shared.models import JobEvent, JobStep, RunnerJob, StepStatus, StepType
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import decode, job_path
from tui.text import diffs
from tui.text.decisions import Paint
from tui.text.jobs import DASH, STEP_STYLES, cost, elapsed, job_state, location
from tui.text.plain import plain, truncate
from tui.text.table import align_columns, join_cells
from tui.text.times import duration, time_of_day

_EVENTS = 12
_OUTPUT = 6  # lines of a failed step


def arguments(parser: ArgumentParser) -> None:
    """Add the job."""
    parser.add_argument("job", metavar="JOB", help="its id, or the end of it from 6 characters on")
    more = "what its agent changed, instead; into a file or a pipe as git wrote it"
    parser.add_argument("--diff", action="store_true", help=more)


def run(options: Namespace, terminal: Terminal) -> int:
    """Print one job, or its diff."""
    if options.diff:
        return _diff(options, terminal)
    document = daemon_client(options).get(job_path(options.job))
    if options.json:
        terminal.document(document)
        return exits.OK
    job = decode(document, RunnerJob)
    for line in job_lines(job, ids.now_ms(), terminal.paint):
        terminal.data(line)
    return exits.OK


def _diff(options: Namespace, terminal: Terminal) -> int:
    diff = daemon_client(options).get(f"{job_path(options.job)}/diff")
    if options.json:
        terminal.document(msgspec.json.encode({"diff": diff.decode("utf-8", "replace")}))
    elif terminal.columns is None:
        terminal.raw(diff)
    else:
        for line in map(diffs.diff_line, diff.removesuffix(b"\n").split(b"\n") if diff else ()):
            colour = diffs.diff_colour(line)
            terminal.data(terminal.paint(line, colour) if colour else line)
    if not diff:
        terminal.note("nothing was changed")
    return exits.OK


def job_lines(job: RunnerJob, now: int, paint: Paint) -> list[str]:
    """Return the whole page of a job, at `now` in milliseconds."""
    state = job_state(job)
    title = f'"{plain(job.thread.title)}"' if job.thread and job.thread.title else ""
    head = [
        paint(ids.short_id(job.id), "bold"),
        paint(f"{state.glyph} {state.word}", state.colour),
        plain(job.type),
        location(job.repository, job.thread),
        title,
    ]
    page = ["  ".join(filter(None, head))]
    page += [f"  {paint(f'{name:9}', 'dim')} {value}" for name, value in _facts(job, now)]
    if job.steps:
        page += ["", "steps", *_tree(job.steps, paint)]
    if job.events:
        page += ["", "last events", *map(_event, job.events[-_EVENTS:])]
    return page


def _facts(job: RunnerJob, now: int) -> list[tuple[str, str]]:
    spent = f", {cost(job)}" if job.usage.cost_usd else ""
    facts = [
        ("id", plain(job.id)),
        ("asked by", f"{plain(job.actor)} at {plain(job.created_at)}"),
        ("runs as", f"{plain(job.profile)} on {plain(job.executor)}, priority {job.priority}"),
        ("tries", f"{job.tries.used} of {job.tries.max} in attempt {job.attempt}, {elapsed(job, now)}{spent}"),
        ("branch", f"{plain(job.branch)} from {plain(job.ref or DASH)}"),
    ]
    if job.held:
        facts.append(("held", plain(job.held)))
    if job.error:
        facts.append(("error", f"{plain(job.error.code)}: {plain(job.error.detail)}"))
        if job.error.hint:
            facts.append(("", plain(job.error.hint)))
    if job.result:
        made = job.result
        what = (
            f"{plain(made.commit)}, +{made.additions} -{made.deletions} in {made.files} files"
            if made.commit
            else "no change"
        )
        facts.append(("result", what))
        facts += [("", plain(line)) for line in made.summary.splitlines()]
    if job.decision:
        decision = job.decision
        facts.append(
            ("rails", f"{decision.verdict.value}: {plain(decision.reason)} (stitcher why {ids.short_id(job.id)})")
        )
    return facts


def _tree(steps: tuple[JobStep, ...], paint: Paint) -> list[str]:
    table = align_columns([_step(step) for step in steps], right={2})
    shown = zip(steps, table, strict=True)
    page = []
    last = max(step.attempt for step in steps)
    for (attempt, number), branch in groupby(shown, key=lambda pair: (pair[0].attempt, pair[0].try_)):
        indent = "  "
        if number is not None:
            page.append(f"  ▼ try {number}" + (f" of attempt {attempt}" if last > 1 else ""))
            indent = "    "
        for step, cells in branch:
            state = STEP_STYLES[step.status]
            page.append(f"{indent}{paint(state.glyph, state.colour)} {join_cells(cells)}")
            if step.status is StepStatus.FAILED:
                page += [f"{indent}    {truncate(plain(line.expandtabs()), 160)}" for line in last_lines(step.output)]
    return page


def last_lines(output: str) -> list[str]:
    """Return the last lines of an output that say anything."""
    return [line for line in output.splitlines() if line.strip()][-_OUTPUT:]


def _step(step: JobStep) -> list[str]:
    name = f"gate {plain(step.name)}" if step.type is StepType.GATE else plain(step.name)
    spent = DASH if step.duration_ms is None else duration(step.duration_ms)
    ended = f"exit {step.exit_code}" if step.exit_code else ""
    return [name, step.phase.value.lower(), spent, STEP_STYLES[step.status].word, ended]


def _event(event: JobEvent) -> str:
    said = " ".join(f"{key}={' '.join(str(value).split())}" for key, value in event.payload.items())
    return f"  {time_of_day(plain(event.timestamp))}  {plain(event.type):16}  {truncate(plain(said), 100)}".rstrip()
