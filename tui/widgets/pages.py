"""The content of text pages: decision, result, prompt and JSON document of a job."""

from contextlib import suppress

import msgspec
from msgspec import UNSET
from rich.cells import cell_len

from shared.models import AnswerState, Decision, JobAnswer, RunnerJob
from tui.text import decisions
from tui.text.answers import job_answer
from tui.text.jobs import DASH, counted, more_summary
from tui.text.links import opened_change
from tui.text.plain import plain
from tui.widgets.paint import StyledLine, paint, parse_marks, wrap_line


def page_lines(title: str, job: RunnerJob, document: bytes, cells: int) -> list[StyledLine]:
    """Return the page with a title of a job; `document` is the job as JSON."""
    match title:
        case "Why":
            return decision_page(None if job.decision is UNSET else job.decision, cells)
        case "Conversation":
            return prompt_page(job, cells)
        case "Result":
            return result_page(job, cells)
    return json_page(document, cells)


def decision_page(decision: Decision | None, cells: int) -> list[StyledLine]:
    """Return a decision: its headline, every check, and the change that would allow it."""
    if decision is None:
        return [[("nothing is decided yet", "dim")]]
    word, colour = decisions.verdict_headline(decision.verdict)
    page: list[StyledLine] = [[(word, f"{colour} bold")]]
    for line in decisions.decision_lines(decision, paint):
        page += _wrapped(parse_marks(line), cells)
    return page


def _answer_lines(answer: JobAnswer, cells: int) -> list[StyledLine]:
    colour = {AnswerState.FAILED: "red", AnswerState.DELIVERED: ""}.get(answer.state, "yellow")
    return _fact("answer", job_answer(answer), cells, colour)


def _fact(name: str, text: str, cells: int, style: str = "") -> list[StyledLine]:
    """Return a name and a text beside it, which is wrapped."""
    first, *others = wrap_line(text, max(cells - 8, 20))
    return [[(f"{name:8}", "dim"), (first, style)], *([(f"{'':8}{part}", style)] for part in others)]


def result_page(job: RunnerJob, cells: int) -> list[StyledLine]:
    """Return the result of a job: its error or commit, and its usage."""
    page: list[StyledLine] = []
    if job.error:
        page += _prose(job.error.detail, cells, "red")
        page += _prose(job.error.hint, cells) if job.error.hint else []
        page += [[("code ", "dim"), (plain(job.error.code), "")], []]
    outcome = None if job.result is UNSET else job.result
    if outcome and outcome.commit:
        page += [
            [("commit  ", "dim"), (plain(outcome.commit), "")],
            [("branch  ", "dim"), (plain(job.branch), "")],
            [("diff    ", "dim"), (f"+{outcome.additions}", "green"), (f" -{outcome.deletions}", "red"),
             (f" in {counted(outcome.files, 'file')}", "")],
        ]  # fmt: skip
        page += _fact("change", opened_change(job), cells) if job.change else []
        page.append([])
    elif outcome:
        page += [[("nothing was changed", "dim")], []]
    if job.answers:
        page += [line for each in job.answers for line in _answer_lines(each, cells)]
        page.append([])
    if outcome:
        page += _prose("\n".join(more_summary(outcome)), cells)
    used = job.usage
    page += [[], [("tokens  ", "dim"), (f"{used.input_tokens:,} in, {used.output_tokens:,} out", "")]]
    page += [[("cost    ", "dim"), (f"${used.cost_usd:.2f}" if used.cost_usd else DASH, "")]]
    return page if outcome or job.error else [[("it is not over yet", "dim")], *page]


def prompt_page(job: RunnerJob, cells: int) -> list[StyledLine]:
    """Return the prompt of a job that no agent was sent yet."""
    text = "" if job.prompt is UNSET else job.prompt
    if not text:
        return [[("there is no prompt", "dim")]]
    return [[("no agent was sent anything yet; this is the prompt", "dim")], [], *_prose(text, cells)]


def json_page(document: bytes, cells: int) -> list[StyledLine]:
    """Return a JSON document, indented; anything else is shown as it is."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        document = msgspec.json.format(document, indent=2)
    return _prose(document.decode("utf-8", "replace"), cells)


def _prose(text: str, cells: int, style: str = "") -> list[StyledLine]:
    return [[(part, style)] for line in text.splitlines() for part in wrap_line(plain(line.expandtabs()), cells)]


def _wrapped(line: list[tuple[str, str]], cells: int) -> list[StyledLine]:
    """Wrap the last part of a line; continuation lines are indented."""
    if not line:
        return [[]]
    *before, (text, style) = line
    room = cells - sum(cell_len(part) for part, _ in before)
    first = wrap_line(text, max(room, 20))[0]
    rest = text[len(first) :].lstrip()
    return [[*before, (first, style)], *([(f"      {part}", style)] for part in wrap_line(rest, cells - 6) if part)]
