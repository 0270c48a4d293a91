"""The values that an argument may have, by its metavar: the words of the grammar, and what the daemon knows."""

import re
from argparse import Action
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from shared import filters, ids
from shared.models import OPEN, DeliveryPage, JobPage, RunnerJob, Status, Verdict
from tui.client import Daemon, NotText, Refused, Unintelligible, Unreachable, decode
from tui.completing.offer import Offer, Offers
from tui.completing.place import choices
from tui.plain import plain
from tui.wording import look, place

_SHELLS = {"FILE": "files", "PATH": "files", "DIR": "directories"}
_MOST = "100"  # jobs or deliveries of which something is offered
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]*")  # what no shell reads as more than a word
_WORTH = {  # the states in which a job is worth a verb, where not every one is
    "cancel": OPEN,
    "wait": OPEN,
    "retry": (Status.FAILED, Status.CANCELLED),
    "approve": (Status.PENDING,),
    "deny": (Status.PENDING,),
}


class _JobTypes(Struct):
    jobs: dict[str, object] = {}


class _Rails(Struct):
    effective: _JobTypes


def values(argument: Action, verb: str, begun: str, daemon: Daemon | None) -> Offers:
    """Return what an argument of a verb may be; more than fits what is begun."""
    metavar = str(argument.metavar)
    if argument.choices is not None:
        return Offers(words=tuple(Offer(word, plain(what)) for word, what in choices(argument)))
    if metavar in _SHELLS:
        return Offers(_SHELLS[metavar])
    if metavar == "FILTER":
        return Offers(words=tuple(_filter(begun, daemon)))
    names = [name for name in metavar.split("|") if name in _KNOWN]
    return Offers(words=tuple(offer for name in names for offer in _asked(_KNOWN[name], verb, daemon)))


def _asked(ask: "_Ask", verb: str, daemon: Daemon | None) -> list[Offer]:
    try:
        return [each for each in ask(daemon, verb) if _SAFE.fullmatch(each.word)] if daemon else []
    except (Refused, Unreachable, Unintelligible, NotText):
        return []


def _filter(begun: str, daemon: Daemon | None) -> Iterator[Offer]:
    """Offer the end of a filter's last word: a key, or the value behind it and behind its last comma."""
    earlier, blank, word = begun.rpartition(" ")
    sign = "-" * word.startswith("-")
    key, colon, given = word.removeprefix("-").partition(":")
    if not colon:
        yield from (Offer(f"{earlier}{blank}{sign}{known}:") for known in filters.KEYS)
        return
    before = f"{earlier}{blank}{sign}{key}:{''.join(given.rpartition(',')[:2])}"
    said = [Offer(value, filters.IS.get(value, "")) for value in filters.KEYS.get(key, ())]
    if key in _OF_JOB:
        said = _asked(_column(key), "", daemon)
    yield from (Offer(f"{before}{each.word}", each.what) for each in said if each.word not in given.split(",")[:-1])


def _page(daemon: Daemon, statuses: Iterable[Status] = ()) -> tuple[RunnerJob, ...]:
    query = [("limit", _MOST), *(("status", status.value) for status in statuses)]
    return decode(daemon.get("/runner-jobs", query), JobPage).items


def _jobs(daemon: Daemon, verb: str) -> Iterator[Offer]:
    for job in _page(daemon, _WORTH.get(verb, ())):
        what = f"{look(job).word} {plain(job.type)} {place(job.repository, job.thread)}"
        yield Offer(ids.short(job.id), what)


def _deliveries(daemon: Daemon, _verb: str) -> Iterator[Offer]:
    for each in decode(daemon.get("/deliveries", [("limit", _MOST)]), DeliveryPage).items:
        what = f"{each.verdict.value} {plain(each.event)} {place(each.repository, each.thread)}"
        yield Offer(ids.short(each.id), what)


def _sources(daemon: Daemon, _verb: str) -> Iterator[Offer]:
    page = decode(daemon.get("/deliveries", [("limit", _MOST)]), DeliveryPage)
    yield from map(Offer, dict.fromkeys(each.source for each in page.items))


def _types(daemon: Daemon, _verb: str) -> Iterator[Offer]:
    yield from map(Offer, decode(daemon.get("/rails", [("effective", "true")]), _Rails).effective.jobs)


_Ask = Callable[[Daemon, str], Iterable[Offer]]

_OF_JOB: dict[str, Callable[[RunnerJob], str | None]] = {
    "type": lambda job: job.type,
    "repo": lambda job: job.repository,
    "profile": lambda job: job.profile,
    "agent": lambda job: job.agent_task_id,
}


def _column(key: str) -> _Ask:
    """Return what asks for the different values of a key among the newest jobs."""
    return lambda daemon, _verb: [
        Offer(value) for value in dict.fromkeys(map(_OF_JOB[key], _page(daemon))) if value is not None
    ]


_KNOWN: dict[str, _Ask] = {
    "JOB": _jobs,
    "DELIVERY": _deliveries,
    "SOURCE": _sources,
    "TYPE": _types,
    "OWNER/NAME": _column("repo"),
    "TASK": _column("agent"),
    "STATUS": lambda _daemon, _verb: [Offer(status.lower()) for status in Status],
    "VERDICT": lambda _daemon, _verb: [Offer(verdict.value) for verdict in Verdict],
}
