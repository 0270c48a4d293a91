"""The values that an argument may have, by its metavar: the words of the grammar, and what the daemon knows."""

import re
from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from shared import filters, ids
from shared.api import DeliveryPage, JobPage
from shared.models import OPEN_STATUSES, RunnerJob, Status, Verdict
from tui.cli.parser import VerbParser, build_parser
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse, NotUtf8, decode
from tui.text.jobs import job_state, location
from tui.text.plain import plain

# merged from tui.completing.place: Where the cursor is on a line, read off the parsers: in which verb, and at
# the value of which argument.
# merged from tui.completing: What may stand where the cursor is on a line of `stitcher`; each shell has a
# script that asks.
# merged from tui.completing.offer: What is offered where the cursor is.


class Candidate(Struct, frozen=True):
    """One word that may stand there, and what it is; both plain already (tui.text.plain)."""

    word: str
    what: str = ""


class Candidates(Struct, frozen=True):
    """What may stand there: `words`, or what the shell finds best itself, `files` or `directories`."""

    kind: str = "words"
    words: tuple[Candidate, ...] = ()


class CursorContext(Struct, frozen=True):
    """The parser that would read the word, the verb that it is of, and whose value it would be (None: of nothing)."""

    parser: ArgumentParser
    verb: str
    argument: Action | None
    may_be_option: bool


def find_context(parser: ArgumentParser, before: Iterable[str]) -> CursorContext | None:
    """Walk over the words before the cursor as argparse would; None behind a verb or an action that is unknown."""
    verb, awaited, dashes, taken = "", None, False, 0
    for word in before:
        if awaited is not None:
            awaited = None
        elif word == "--" and not dashes:
            dashes = True
        elif not dashes and word.startswith("-") and (action := find_option(parser, word)) is not None:
            awaited = None if action.nargs == 0 else action
        elif not dashes and word.startswith("--"):
            continue  # with its value behind =, or unknown
        elif isinstance(action := _positional(parser, taken), _SubParsersAction):
            if word not in action.choices:
                return None
            parser, taken, verb = action.choices[word], 0, verb or word
            if isinstance(parser, VerbParser):
                parser.learn()
        else:
            taken += 1
    free = awaited is None and not dashes
    return CursorContext(parser, verb, awaited or _positional(parser, taken), may_be_option=free)


def find_option(parser: ArgumentParser, word: str) -> Action | None:
    """Return the option that a word names."""
    return next((action for action in _actions(parser) if word in action.option_strings), None)


def list_options(parser: ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield the name of each option, and what it does."""
    for action in _actions(parser):
        yield from ((name, action.help or "") for name in action.option_strings if action.help != SUPPRESS)


def list_choices(action: Action) -> Iterator[tuple[str, str]]:
    """Yield the verbs or actions that a parser knows, or the values that an argument may have; and what each is."""
    if isinstance(action, _SubParsersAction):
        yield from ((choice.dest, choice.help or "") for choice in action._choices_actions)  # noqa: SLF001 (see _actions)
    else:
        yield from ((str(choice), "") for choice in action.choices or ())


def _positional(parser: ArgumentParser, taken: int) -> Action | None:
    """Return what the next word is when so many have been taken."""
    for action in _actions(parser):
        if not action.option_strings:
            if action.nargs in {"*", "+"} or not taken:
                return action
            taken -= 1
    return None


def _actions(parser: ArgumentParser) -> list[Action]:
    return parser._actions  # noqa: SLF001 (argparse tells nobody what it was told; as argcomplete reads it)


_SHELL_COMPLETED = {"FILE": "files", "PATH": "files", "DIR": "directories"}
_LIMIT = "100"  # jobs or deliveries of which something is offered
_SAFE_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]*")  # what no shell reads as more than a word
_RELEVANT_STATUSES = {  # the states in which a job is worth a verb, where not every one is
    "cancel": OPEN_STATUSES,
    "wait": OPEN_STATUSES,
    "retry": (Status.FAILED, Status.CANCELLED),
    "approve": (Status.PENDING,),
    "deny": (Status.PENDING,),
}


class _JobTypes(Struct):
    jobs: dict[str, object] = {}


class _Rails(Struct):
    effective: _JobTypes


def argument_values(argument: Action, verb: str, begun: str, daemon: DaemonClient | None) -> Candidates:
    """Return what an argument of a verb may be; more than fits what is begun."""
    metavar = str(argument.metavar)
    if argument.choices is not None:
        return Candidates(words=tuple(Candidate(word, plain(what)) for word, what in list_choices(argument)))
    if metavar in _SHELL_COMPLETED:
        return Candidates(_SHELL_COMPLETED[metavar])
    if metavar == "FILTER":
        return Candidates(words=tuple(_filter_candidates(begun, daemon)))
    names = [name for name in metavar.split("|") if name in _VALUES_BY_METAVAR]
    return Candidates(
        words=tuple(offer for name in names for offer in _query_daemon(_VALUES_BY_METAVAR[name], verb, daemon))
    )


def _query_daemon(ask: "_ValueSource", verb: str, daemon: DaemonClient | None) -> list[Candidate]:
    try:
        return [each for each in ask(daemon, verb) if _SAFE_WORD.fullmatch(each.word)] if daemon else []
    except (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8):
        return []


def _filter_candidates(begun: str, daemon: DaemonClient | None) -> Iterator[Candidate]:
    """Offer the end of a filter's last word: a key, or the value behind it and behind its last comma."""
    earlier, blank, word = begun.rpartition(" ")
    sign = "-" * word.startswith("-")
    key, colon, given = word.removeprefix("-").partition(":")
    if not colon:
        yield from (Candidate(f"{earlier}{blank}{sign}{known}:") for known in filters.KEYS)
        return
    before = f"{earlier}{blank}{sign}{key}:{''.join(given.rpartition(',')[:2])}"
    said = [Candidate(value, filters.IS_VALUES.get(value, "")) for value in filters.KEYS.get(key, ())]
    if key in _JOB_FIELDS:
        said = _query_daemon(_distinct_values(key), "", daemon)
    yield from (Candidate(f"{before}{each.word}", each.what) for each in said if each.word not in given.split(",")[:-1])


def _job_page(daemon: DaemonClient, statuses: Iterable[Status] = ()) -> tuple[RunnerJob, ...]:
    query = [("limit", _LIMIT), *(("status", status.value) for status in statuses)]
    return decode(daemon.get("/runner-jobs", query), JobPage).items


def _jobs(daemon: DaemonClient, verb: str) -> Iterator[Candidate]:
    for job in _job_page(daemon, _RELEVANT_STATUSES.get(verb, ())):
        what = f"{job_state(job).word} {plain(job.type)} {location(job.repository, job.thread)}"
        yield Candidate(ids.short_id(job.id), what)


def _deliveries(daemon: DaemonClient, _verb: str) -> Iterator[Candidate]:
    for each in decode(daemon.get("/deliveries", [("limit", _LIMIT)]), DeliveryPage).items:
        what = f"{each.verdict.value} {plain(each.event)} {location(each.repository, each.thread)}"
        yield Candidate(ids.short_id(each.id), what)


def _sources(daemon: DaemonClient, _verb: str) -> Iterator[Candidate]:
    page = decode(daemon.get("/deliveries", [("limit", _LIMIT)]), DeliveryPage)
    yield from map(Candidate, dict.fromkeys(each.source for each in page.items))


def _types(daemon: DaemonClient, _verb: str) -> Iterator[Candidate]:
    yield from map(Candidate, decode(daemon.get("/rails", [("effective", "true")]), _Rails).effective.jobs)


_ValueSource = Callable[[DaemonClient, str], Iterable[Candidate]]

_JOB_FIELDS: dict[str, Callable[[RunnerJob], str | None]] = {
    "type": lambda job: job.type,
    "repo": lambda job: job.repository,
    "profile": lambda job: job.profile,
    "agent": lambda job: job.agent_task_id,
}


def _distinct_values(key: str) -> _ValueSource:
    """Return what asks for the different values of a key among the newest jobs."""
    return lambda daemon, _verb: [
        Candidate(value) for value in dict.fromkeys(map(_JOB_FIELDS[key], _job_page(daemon))) if value is not None
    ]


_VALUES_BY_METAVAR: dict[str, _ValueSource] = {
    "JOB": _jobs,
    "DELIVERY": _deliveries,
    "SOURCE": _sources,
    "TYPE": _types,
    "OWNER/NAME": _distinct_values("repo"),
    "TASK": _distinct_values("agent"),
    "STATUS": lambda _daemon, _verb: [Candidate(status.lower()) for status in Status],
    "VERDICT": lambda _daemon, _verb: [Candidate(verdict.value) for verdict in Verdict],
}


def complete(words: Sequence[str], daemon: DaemonClient | None) -> Candidates:
    """Return what may stand for the last of `words`, which is begun or empty.

    Without a `daemon`, or with one that does not answer at once, what only it knows is left out.
    """
    *before, begun = words
    place = find_context(build_parser(), before)
    if place is None:
        return Candidates()
    name, equals, value = begun.partition("=")
    if equals and place.may_be_option and (argument := find_option(place.parser, name)):
        found = argument_values(argument, place.verb, value, daemon)
        return Candidates(words=_matching([Candidate(f"{name}={each.word}", each.what) for each in found.words], begun))
    own = [Candidate(*each) for each in list_options(place.parser)] if place.may_be_option else []
    if place.argument is None or (place.may_be_option and begun.startswith("--")):
        return Candidates(words=_matching(own, begun))
    found = argument_values(place.argument, place.verb, begun, daemon)
    return Candidates(found.kind, _matching([*found.words, *(own if begun.startswith("-") else ())], begun))


def _matching(found: Sequence[Candidate], begun: str) -> tuple[Candidate, ...]:
    return tuple({each.word: each for each in found if each.word.startswith(begun)}.values())
