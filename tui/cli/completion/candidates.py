"""The candidates that may complete the word at the cursor, derived from the parsers and from the daemon."""

import re
from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from shared import filters, ids
from shared.models import OPEN_STATUSES, RunnerJob, Status, Verdict
from tui.cli.parser import VerbParser, build_parser
from tui.client import api
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.text.jobs import job_state, location
from tui.text.plain import plain

_SHELL_COMPLETED = {"FILE": "files", "PATH": "files", "DIR": "directories"}
_LIMIT = 100  # jobs or deliveries that are offered
_SAFE_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]*")  # has no special meaning in any shell
_RELEVANT_STATUSES = {  # of the jobs offered to a verb; other verbs take all
    "cancel": OPEN_STATUSES,
    "wait": OPEN_STATUSES,
    "retry": (Status.FAILED, Status.CANCELLED),
    "approve": (Status.PENDING,),
    "deny": (Status.PENDING,),
}


class Candidate(Struct, frozen=True):
    """A word and its description, both plain already (tui.text.plain)."""

    word: str
    description: str = ""


class Candidates(Struct, frozen=True):
    """What the shell shall offer: `words`, or by `kind` its own `files` or `directories`."""

    kind: str = "words"
    words: tuple[Candidate, ...] = ()


class CursorContext(Struct, frozen=True):
    """The parser, verb and argument that the word at the cursor belongs to; `argument` is None if it is superfluous."""

    parser: ArgumentParser
    verb: str
    argument: Action | None
    may_be_option: bool


def complete(words: Sequence[str], client: DaemonClient | None) -> Candidates:
    """Return the candidates for the last of `words`, which may be empty.

    Without a client, or if the daemon does not answer in time, what only the daemon knows is left out.
    """
    *before, prefix = words
    context = find_context(build_parser(), before)
    if context is None:
        return Candidates()
    name, equals, value = prefix.partition("=")
    if equals and context.may_be_option and (argument := find_option(context.parser, name)):
        values = argument_values(argument, context.verb, value, client).words
        return Candidates(
            words=_matching([Candidate(f"{name}={each.word}", each.description) for each in values], prefix)
        )
    options = list_options(context.parser) if context.may_be_option else []
    if context.argument is None or (context.may_be_option and prefix.startswith("--")):
        return Candidates(words=_matching(options, prefix))
    found = argument_values(context.argument, context.verb, prefix, client)
    return Candidates(found.kind, _matching([*found.words, *(options if prefix.startswith("-") else ())], prefix))


def _matching(candidates: Sequence[Candidate], prefix: str) -> tuple[Candidate, ...]:
    return tuple({each.word: each for each in candidates if each.word.startswith(prefix)}.values())


# Where the cursor is


def find_context(parser: ArgumentParser, before: Iterable[str]) -> CursorContext | None:
    """Consume the words before the cursor as argparse would; return None after an unknown verb or action."""
    verb, awaited, only_words, taken = "", None, False, 0
    for word in before:
        if awaited is not None:
            awaited = None
        elif word == "--" and not only_words:
            only_words = True
        elif not only_words and word.startswith("-") and (action := find_option(parser, word)) is not None:
            awaited = None if action.nargs == 0 else action
        elif not only_words and word.startswith("--"):
            continue  # has its value after =, or is unknown
        elif isinstance(action := _positional(parser, taken), _SubParsersAction):
            if word not in action.choices:
                return None
            parser, taken, verb = action.choices[word], 0, verb or word
            if isinstance(parser, VerbParser):
                parser.load_arguments()
        else:
            taken += 1
    may_be_option = awaited is None and not only_words
    return CursorContext(parser, verb, awaited or _positional(parser, taken), may_be_option=may_be_option)


def find_option(parser: ArgumentParser, name: str) -> Action | None:
    """Return the option with a name such as `--json`, or None."""
    return next((action for action in _actions(parser) if name in action.option_strings), None)


def list_options(parser: ArgumentParser) -> list[Candidate]:
    """Return the names of all options with their help."""
    visible = [action for action in _actions(parser) if action.help != SUPPRESS]
    return [Candidate(name, action.help or "") for action in visible for name in action.option_strings]


def _positional(parser: ArgumentParser, taken: int) -> Action | None:
    """Return the positional argument that comes after `taken` others."""
    for action in _actions(parser):
        if not action.option_strings:
            if action.nargs in {"*", "+"} or not taken:
                return action
            taken -= 1
    return None


def _actions(parser: ArgumentParser) -> list[Action]:
    return parser._actions  # noqa: SLF001 (argparse has no public way to list arguments; argcomplete does the same)


# What may stand there


def argument_values(argument: Action, verb: str, prefix: str, client: DaemonClient | None) -> Candidates:
    """Return the values that an argument of a verb may have, by its choices or metavar; not all begin with `prefix`."""
    metavar = str(argument.metavar)
    if argument.choices is not None:
        return Candidates(words=tuple(_choices(argument)))
    if metavar in _SHELL_COMPLETED:
        return Candidates(_SHELL_COMPLETED[metavar])
    if metavar == "FILTER":
        return Candidates(words=tuple(_filter_candidates(prefix, client)))
    names = [name for name in metavar.split("|") if name in _VALUES_BY_METAVAR]
    return Candidates(words=tuple(each for name in names for each in _fetch(_VALUES_BY_METAVAR[name], verb, client)))


def _choices(action: Action) -> Iterator[Candidate]:
    """Yield the verbs or actions that a parser knows, or the fixed values of an argument."""
    if isinstance(action, _SubParsersAction):
        for choice in action._choices_actions:  # noqa: SLF001 (see _actions)
            yield Candidate(choice.dest, plain(choice.help or ""))
    else:
        yield from (Candidate(str(choice)) for choice in action.choices or ())


def _filter_candidates(prefix: str, client: DaemonClient | None) -> Iterator[Candidate]:
    """Yield completions of the last word of a filter: a key, or a value after it and after its last comma."""
    earlier, space, word = prefix.rpartition(" ")
    sign = "-" * word.startswith("-")
    key, colon, given = word.removeprefix("-").partition(":")
    if not colon:
        yield from (Candidate(f"{earlier}{space}{sign}{known}:") for known in filters.KEYS)
        return
    head = f"{earlier}{space}{sign}{key}:{''.join(given.rpartition(',')[:2])}"
    values = [Candidate(value, filters.IS_VALUES.get(value, "")) for value in filters.KEYS.get(key, ())]
    if key in _JOB_FIELDS:
        values = _fetch(_distinct_values(key), "", client)
    used = given.split(",")[:-1]
    yield from (Candidate(f"{head}{each.word}", each.description) for each in values if each.word not in used)


_ValueSource = Callable[[DaemonClient, str], Iterable[Candidate]]  # given a client and a verb


def _fetch(source: _ValueSource, verb: str, client: DaemonClient | None) -> list[Candidate]:
    try:
        return [each for each in source(client, verb) if _SAFE_WORD.fullmatch(each.word)] if client else []
    except (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8):
        return []


def _list_jobs(client: DaemonClient, statuses: Iterable[Status] = ()) -> tuple[RunnerJob, ...]:
    return api.list_jobs(client, [("status", status.value) for status in statuses], limit=_LIMIT).value.items


def _jobs(client: DaemonClient, verb: str) -> Iterator[Candidate]:
    for job in _list_jobs(client, _RELEVANT_STATUSES.get(verb, ())):
        description = f"{job_state(job).word} {plain(job.type)} {location(job.repository, job.thread)}"
        yield Candidate(ids.short_id(job.id), description)


def _deliveries(client: DaemonClient, _verb: str) -> Iterator[Candidate]:
    for each in api.list_deliveries(client, limit=_LIMIT).value.items:
        description = f"{each.verdict.value} {plain(each.event)} {location(each.repository, each.thread)}"
        yield Candidate(ids.short_id(each.id), description)


def _sources(client: DaemonClient, _verb: str) -> Iterator[Candidate]:
    page = api.list_deliveries(client, limit=_LIMIT).value
    yield from map(Candidate, dict.fromkeys(each.source for each in page.items))


def _job_types(client: DaemonClient, _verb: str) -> Iterator[Candidate]:
    effective = api.get_rails(client, effective=True).value.effective
    yield from map(Candidate, effective["jobs"] if effective else ())


_JOB_FIELDS: dict[str, Callable[[RunnerJob], str | None]] = {
    "type": lambda job: job.type,
    "repo": lambda job: job.repository,
    "profile": lambda job: job.profile,
    "agent": lambda job: job.agent_task_id,
}


def _distinct_values(key: str) -> _ValueSource:
    """Return a source of the different values that a field has among the newest jobs."""
    field = _JOB_FIELDS[key]
    return lambda client, _verb: [
        Candidate(value) for value in dict.fromkeys(map(field, _list_jobs(client))) if value is not None
    ]


_VALUES_BY_METAVAR: dict[str, _ValueSource] = {
    "JOB": _jobs,
    "DELIVERY": _deliveries,
    "SOURCE": _sources,
    "TYPE": _job_types,
    "OWNER/NAME": _distinct_values("repo"),
    "TASK": _distinct_values("agent"),
    "STATUS": lambda _client, _verb: [Candidate(status.lower()) for status in Status],
    "VERDICT": lambda _client, _verb: [Candidate(verdict.value) for verdict in Verdict],
}
