"""Words for what is reported: structured fields become the Markdown of a comment, or the line of a status."""

import hashlib
import hmac
import html
from collections.abc import Callable

from shared.ids import short_id
from shared.models import Status
from stitcherd.reporting.contents import (
    ChangeContent,
    CommentContent,
    DenialReport,
    GateReport,
    HelpReport,
    HintReport,
    JobReport,
    Reply,
    StatusContent,
    StatusReport,
    WhyReport,
)
from stitcherd.reporting.foreign_text import INLINE_MAX, code_block, harmless, inline_code

BODY_MAX = 60_000  # characters; forges take 65,535 and more
OUTPUT_LINES = 40  # of the step that failed
DESCRIPTION_MAX = 140  # characters of a status
_FOLD_MAX = 1_000  # characters around a folded output
_SIGNS = {"pending": "·", "running": "…", "passed": "✓", "failed": "✗", "skipped": "○"}
_STATES = {
    Status.PENDING: "◷ waits for an approval",
    Status.QUEUED: "◷ queued",
    Status.RUNNING: "▶ running",
    Status.COMPLETED: "✓ completed",
    Status.FAILED: "✗ failed",
    Status.CANCELLED: "○ cancelled",
}
_DESCRIPTIONS = {
    Status.PENDING: "waits for an approval",
    Status.QUEUED: "queued",
    Status.RUNNING: "running",
    Status.COMPLETED: "all required gates passed",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}
_HEADINGS = ("Job", "Type", "Asked by", "State", "Try", "Gates", "Commit")

Mask = Callable[[str], str]


def marker(instance: str, place: str) -> str:
    """Return the hidden mark by which a comment of ours is found again; `place` names what it is for."""
    digest = hmac.digest(instance.encode(), place.encode(), hashlib.sha256).hex()
    return f"<!-- stitcher:t:{digest[:12]} -->"


def comment_body(content: CommentContent, mark: str, mask: Mask) -> str:
    """Return the Markdown of a comment, which ends with the mark; at most BODY_MAX characters."""
    parts = []
    if content.denial is not None:
        parts.append(_denial(content.denial, mask))
    if content.hint is not None:
        parts.append(_hint(content.hint, mask))
    if content.reply is not None:
        parts.append(_reply(content.reply, mask))
    if content.jobs:
        parts += [_headline(content.jobs[0], mask), _table(content.jobs, mask)]
        failed = next((job for job in content.jobs if job.output is not None), None)
        if failed is not None:
            used = sum(len(part) + 2 for part in parts) + len(mark)
            parts.append(_folded_output(failed, BODY_MAX - used - _FOLD_MAX, mask))
        parts.append(f"The whole log and what was changed: `stitcher show {short_id(content.jobs[0].id)}`")
    body = "\n\n".join(parts)
    return f"{body[: BODY_MAX - len(mark) - 2]}\n\n{mark}"


def status_description(content: StatusContent) -> str:
    """Return the line of a status."""
    line = _DESCRIPTIONS[content.state]
    if content.error:
        line = f"{line}: {content.error}"
    return f"{line} (stitcher show {short_id(content.job)})"[:DESCRIPTION_MAX]


def change_title(content: ChangeContent) -> str:
    """Return the title of a change."""
    about = f" for #{content.about}" if content.about is not None else ""
    return f"{content.job.type}{about}"


def change_body(content: ChangeContent, mark: str, mask: Mask) -> str:
    """Return the Markdown that describes a change; it ends with the mark."""
    parts = [_table((content.job,), mask)]
    if content.about is not None:
        parts.insert(0, f"{'Closes' if content.closes else 'About'} #{content.about}.")
    parts.append(f"The whole log and what was changed: `stitcher show {short_id(content.job.id)}`")
    return "\n\n".join([*parts, mark])


def _headline(job: JobReport, mask: Mask) -> str:
    """Return what there is to say of a job in a sentence or two."""
    name = f"**{inline_code(job.type, mask)}**"
    match job.status:
        case Status.PENDING:
            guards = ", ".join(inline_code(each, mask) for each in job.waiting)
            who = ", ".join(inline_code(each, mask) for each in job.approvers) or "the operator"
            until = f", until {job.expires_at}" if job.expires_at else ""
            sentence = f"waits for an approval by {who}{until} (required by {guards})"
        case Status.QUEUED:
            sentence = f"is queued{f': {inline_code(job.held, mask)}' if job.held else ''}"
        case Status.RUNNING:
            sentence = f"is running, try {max(job.try_, 1)} of {job.tries_max}"
        case Status.COMPLETED if job.commit:
            sentence = f"is done: {inline_code(job.summary or '', mask)} on {inline_code(job.branch or '', mask)}"
        case Status.COMPLETED:
            sentence = "is done: nothing was changed"
        case Status.FAILED:
            sentence = f"failed: {inline_code(job.error or 'no reason is known', mask)}"
            if job.hint:
                sentence += f" ({inline_code(job.hint, mask)})"
        case Status.CANCELLED:
            sentence = "was cancelled"
    return f"{name} {sentence}."


def _table(jobs: tuple[JobReport, ...], mask: Mask) -> str:
    lines = [_HEADINGS, ("---",) * len(_HEADINGS), *(_row(job, mask) for job in jobs)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(job: JobReport, mask: Mask) -> tuple[str, ...]:
    commit = f"`{job.commit[:7]}`" if job.commit else ""
    return (
        f"`{short_id(job.id)}`",
        inline_code(job.type, mask, cell=True),
        inline_code(job.asker, mask, cell=True),
        _STATES[job.status],
        f"{job.try_} of {job.tries_max}" if job.try_ else "",
        " ".join(_gate(each, mask) for each in job.gates),
        commit,
    )


def _gate(gate: GateReport, mask: Mask) -> str:
    sign = "!" if gate.outcome == "failed" and not gate.required else _SIGNS[gate.outcome]
    return f"{sign} {inline_code(gate.name, mask, cell=True)}"


def _folded_output(job: JobReport, size: int, mask: Mask) -> str:
    if job.output is None:
        return ""
    block, is_cut = code_block(job.output.text, mask, OUTPUT_LINES, size)
    step = html.escape(harmless(job.output.step, mask)[:INLINE_MAX])
    what = f"The last lines of {step}" if is_cut else f"What {step} printed"
    return f"<details>\n<summary>{what}</summary>\n\n{block}\n\n</details>"


def _denial(denial: DenialReport, mask: Mask) -> str:
    sentence = f"Nothing runs for {inline_code(denial.sender, mask)}: {inline_code(denial.reason, mask)}."
    if denial.remedy:
        sentence += f" What would allow it: {inline_code(denial.remedy, mask)}."
    return f"{sentence} More: `stitcher why {short_id(denial.delivery)}`"


def _reply(reply: Reply, mask: Mask) -> str:
    """Return the answer to a question."""
    to = inline_code(reply.sender, mask)
    match reply:
        case HelpReport():
            lines = (f"- {inline_code(verb, mask)} {harmless(about, mask)}" for verb, about in reply.commands)
            return "\n".join((f"{to}: these are the commands; write one on a line of its own, after my name.", *lines))
        case StatusReport():
            return f"{to}: {'these are the jobs of this thread' if reply.found else 'this thread has no job'}."
        case WhyReport(delivery=None):
            return f"{to}: nothing was asked for on this thread lately."
        case WhyReport():
            return _why(to, reply, mask)


def _why(to: str, why: WhyReport, mask: Mask) -> str:
    sentence = f"{to}: the last request was {inline_code(why.verdict, mask)}: {inline_code(why.reason, mask)}."
    if why.failed is not None:
        *texts, line = why.failed
        check, seen, wanted = (inline_code(str(each or "nothing"), mask) for each in texts)
        at = f" (line {line} of the rails)" if line is not None else ""
        sentence += f" Check {check}{at} saw {seen}, and wanted {wanted}."
    if why.remedy:
        sentence += f" What would allow it: {inline_code(why.remedy, mask)}."
    return f"{sentence} More: `stitcher why {short_id(why.delivery or '')}`"


def _hint(hint: HintReport, mask: Mask) -> str:
    verbs = ", ".join(inline_code(verb, mask) for verb in hint.verbs) or "none"
    return (
        f"{inline_code(hint.sender, mask)}: there is no command {inline_code(hint.written, mask)}; there are {verbs}."
    )
