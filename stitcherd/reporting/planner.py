"""Reads what events are about, and has decided what is to be at the forges because of it."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
from msgspec import Struct, field
from multidict import CIMultiDict

from shared.deliveries import Delivery
from shared.ids import new_id, now_ms
from shared.models import Thread, Verdict
from stitcherd.config.settings import Settings
from stitcherd.errors import Refusal
from stitcherd.git.mirror import FULL_SHA, is_on_demand
from stitcherd.jobs.evaluator import is_form
from stitcherd.jobs.job_start import starts_from_head
from stitcherd.jobs.known_access import KnownAccess
from stitcherd.rails.commands import ANSWERED, QUESTIONS, STATUS, thread_command, thread_verbs
from stitcherd.rails.compiled import CompiledRails, ReportRules
from stitcherd.rails.live import LiveRails
from stitcherd.rails.report import commands_of, is_informed, report_of, report_without_job
from stitcherd.reporting import desired
from stitcherd.reporting.contents import (
    CommentContent,
    DenialReport,
    HintReport,
    Reply,
    StatusReport,
    decode_content,
)
from stitcherd.reporting.desired import Place, ReportedJob, login_of
from stitcherd.reporting.replies import help_reply, why_reply
from stitcherd.sources import SOURCES, NotJson, WrongShape
from stitcherd.sources.trigger import Trigger
from stitcherd.store import answers, commands, deliveries, reports
from stitcherd.store.answers import DesiredAnswer
from stitcherd.store.events import FollowedEvent
from stitcherd.store.reports import StoredReport
from stitcherd.store.store import Store

FOLLOWED = frozenset(
    {
        *("delivery.received", "delivery.decided", "step.started", "gate.started", "gate.passed", "gate.failed"),
        *(f"job.{each}" for each in ("created", "queued", "started", "completed", "failed", "cancelled", "retried")),
        *(f"job.{each}" for each in ("waiting", "approved", "denied", "recovered")),
    }
)
_UNANSWERED = frozenset({Verdict.IGNORED, Verdict.DECIDING})
_MAY_HAVE_COMMAND = "seen @"  # in the reason of an ignored delivery: the text has a command, or mentions the bot

log = logging.getLogger(__name__)


class ThreadNews(Struct):
    """What is new on one thread: jobs by id, the last denial to explain, the last hint and the last reply to give."""

    place: Place
    thread: Thread
    jobs: set[str] = field(default_factory=set)
    denial: DenialReport | None = None
    hint: HintReport | None = None
    reply: Reply | None = None


ThreadKey = tuple[str, str, str, int]  # source, repository in lower case, kind, number


class AnswerPlanner:
    """Plans the answers for `sources`, at whose forges something can be said.

    `account_ids` are the ids that are kept for accounts, `known_access` is what forges have said of accounts.
    `find_place` returns the source and the name of the repository at a URL.
    """

    followed = FOLLOWED

    def __init__(
        self,
        store: Store,
        settings: Settings,
        sources: Collection[str],
        rails: LiveRails,
        account_ids: Mapping[str, str],
        known_access: KnownAccess,
        find_place: Callable[[str], tuple[str, str] | None],
    ) -> None:
        self._find_place = find_place
        self._known_access = known_access
        self._store = store
        self._settings = settings
        self._sources = frozenset(sources)
        self._apps = frozenset(name for name in sources if settings.sources[name].app is not None)
        self._rails = rails
        self._account_ids = account_ids

    async def plan(self, events: Sequence[FollowedEvent]) -> list[DesiredAnswer]:
        """Return what is to be at the forges because of some events."""
        decided = {event.delivery: event.at for event in events if event.delivery and self._may_be_answered(event)}
        jobs = {event.job: None for event in events if event.job}
        wanted: list[DesiredAnswer] = []
        news: dict[ThreadKey, ThreadNews] = {}
        for delivery_id, at in decided.items():
            with logged(f"delivery {delivery_id}"):
                wanted += await self._of_delivery(delivery_id, at, news)
        for each in await self._read(jobs):
            with logged(f"job {each.job.id}"):
                wanted += await self._of_job(each, news)
        for thread in news.values():
            with logged(f"thread {thread.place.repository}#{thread.thread.number}"):
                wanted += await self._of_thread(thread)
        return wanted

    def _may_be_answered(self, event: FollowedEvent) -> bool:
        """Say whether there may be an answer to a delivery; for most, which are remarks to others, there is none."""
        if event.source not in self._sources or event.verdict == Verdict.DECIDING:
            return False
        reason = event.reason or ""
        return event.verdict != Verdict.IGNORED or _MAY_HAVE_COMMAND in reason or reason.endswith(ANSWERED)

    async def _read(self, job_ids: Collection[str]) -> list[StoredReport]:
        if not job_ids:
            return []
        async with self._store.reading() as db:
            found = await reports.read_reports(db, job_ids)
        return [each for each in found if self._place_of(each) is not None]

    def _place_of(self, found: StoredReport) -> Place | None:
        """Return where a job is reported: where its delivery came from, or, without one, at the forge of its clone."""
        job, source, name = found.job, found.source, found.job.repository
        if source is None and name is not None:
            entry = self._settings.repository(name)
            source, name = (entry and self._find_place(entry.clone)) or (None, None)
        if source is None or name is None or source not in self._sources:
            return None
        return Place(source=source, workspace=job.workspace_id, repository=name)

    async def _of_delivery(self, delivery_id: str, at: int, news: dict[ThreadKey, ThreadNews]) -> list[DesiredAnswer]:
        """Return the reaction to a delivery, and note whether its thread gets an explanation or a hint."""
        async with self._store.reading() as db:
            delivery = await deliveries.get_delivery(db, delivery_id, None)
            try:
                body = await deliveries.get_body(db, delivery_id, None)
            except Refusal:  # retention has removed it
                return []
        decision = delivery.decision or None
        rails = await self._rails_at(decision.rails_digest if decision else None)
        trigger = self._trigger_of(delivery, body)
        if rails is None or trigger is None or trigger.thread is None or trigger.repository is None:
            return []
        rules = report_without_job(rails, decision.trigger if decision else None)
        place = Place(source=delivery.source, workspace=delivery.workspace_id, repository=trigger.repository)
        question = self._question(delivery, trigger, rails)
        noted = _news(news, place, trigger.thread)
        if question is None:
            await self._note_words(delivery, trigger, rails, rules, at, noted)
        else:
            await self._note_reply(question, trigger, rails, at, noted)
        reaction = desired.reaction_to(place, delivery, trigger, rules, answered=question is not None)
        return [] if reaction is None else [reaction]

    def _question(self, delivery: Delivery, trigger: Trigger, rails: CompiledRails) -> str | None:
        """Return the question of a comment that is to be answered; a cancel or retry that means no job is `status`."""
        if delivery.verdict is not Verdict.IGNORED or not delivery.reason.endswith(ANSWERED):
            return None
        command = thread_command(trigger, rails)
        if command is None:
            return None
        return command.verb if command.verb in QUESTIONS else STATUS

    async def _note_reply(
        self, question: str, trigger: Trigger, rails: CompiledRails, at: int, news: ThreadNews
    ) -> None:
        source, place = news.place.source, (news.place.workspace, news.place.repository, news.thread)
        async with self._store.reading() as db:
            match question:
                case "why":
                    news.reply = why_reply(trigger, await commands.last_decided_on_thread(db, source, *place), at)
                case "status":
                    found = await commands.jobs_on_thread(db, *place)
                    jobs = [each.job.id for each in found if each.source == source][: desired.JOBS_SHOWN]
                    news.jobs |= set(jobs)
                    news.reply = StatusReport(login_of(trigger.sender), bool(jobs), at)
                case _:
                    news.reply = help_reply(trigger, rails, at)

    async def _note_words(
        self,
        delivery: Delivery,
        trigger: Trigger,
        rails: CompiledRails,
        rules: ReportRules,
        at: int,
        news: ThreadNews,
    ) -> None:
        access = self._known_access.of(trigger.source, trigger.repository)
        informed = is_informed(rules, trigger, rails, self._account_ids, access)
        news.denial = desired.denial_of(delivery, rules, at, informed=informed) or news.denial
        if delivery.verdict is not Verdict.IGNORED or not informed or rails.mode == "observe":
            return
        last = await self._comment_on(news)
        verbs = tuple(dict.fromkeys((*commands_of(rails, trigger.name), *thread_verbs(rails))))
        hint = desired.hint_for(trigger, rules, verbs, at, (last and last.hint) or news.hint, informed=informed)
        news.hint = hint or news.hint

    async def _of_job(self, found: StoredReport, news: dict[ThreadKey, ThreadNews]) -> list[DesiredAnswer]:
        """Return the statuses and the change of a job, and note that its thread's comment shows it."""
        job, place = found.job, self._place_of(found)
        rails = await self._rails_at(job.rails_digest)
        if rails is None or job.type not in rails.jobs or job.repository is None or place is None:
            return []
        type_ = rails.jobs[job.type]
        rules = report_of(rails, type_)
        if rules.comment and job.thread is not None:
            _news(news, place, job.thread).jobs.add(job.id)
        entry = self._settings.repository(job.repository)
        is_change = job.thread is not None and job.thread.kind == "change"
        head = job.start.sha if job.start is not None and starts_from_head(job.start) else job.head_sha
        reported = ReportedJob(job=job, steps=found.steps, result=found.result, gates=type_.gates)
        published = entry is not None and not entry.is_path
        statuses = desired.statuses_of(
            place,
            reported,
            rules,
            head_sha=head if is_change else None,
            published=published,
            check=place.source in self._apps,
        )
        base = job.target or _branch(job.ref) or (entry.base if entry else "")
        change = desired.change_for(place, reported, rules, base=base, published=published)
        return statuses if change is None else [change, *statuses]

    async def _of_thread(self, news: ThreadNews) -> list[DesiredAnswer]:
        """Return the comment on a thread, if there is anything new to say in it."""
        if not news.jobs and news.denial is None and news.hint is None and news.reply is None:
            return []
        before = await self._comment_on(news)
        shown = {job.id for job in before.jobs} if before else set()
        jobs = []
        for each in await self._read(news.jobs | shown):
            rails = await self._rails_at(each.job.rails_digest)
            type_ = rails.jobs.get(each.job.type) if rails else None
            gates = type_.gates if type_ else ()
            jobs.append(ReportedJob(job=each.job, steps=each.steps, result=each.result, gates=gates))
        answer = desired.thread_comment(
            news.place, news.thread, jobs, before, now_ms(), denial=news.denial, hint=news.hint, reply=news.reply
        )
        return [] if answer is None else [answer]

    async def _comment_on(self, news: ThreadNews) -> CommentContent | None:
        """Return what the comment on a thread has to say up to now."""
        slot = f"comment:{news.thread.kind}/{news.thread.number}"
        async with self._store.reading() as db:
            text = await answers.desired_at(db, news.place.source, news.place.repository, slot)
        try:
            content = decode_content("comment", text) if text is not None else None
        except msgspec.ValidationError:  # of another version
            return None
        return content if isinstance(content, CommentContent) else None

    async def _rails_at(self, digest: str | None) -> CompiledRails | None:
        try:
            return None if digest is None else await self._rails.at(digest)
        except LookupError:
            return None

    def _trigger_of(self, delivery: Delivery, body: bytes) -> Trigger | None:
        source, headers = self._settings.sources[delivery.source], CIMultiDict(delivery.headers)
        kind = SOURCES.get(delivery.kind)
        if kind is None:
            return None
        try:
            return kind.parse(headers, body, source=source.name, bot=source.bot, form=is_form(headers))
        except (NotJson, WrongShape):
            return None


def _news(news: dict[ThreadKey, ThreadNews], place: Place, thread: Thread) -> ThreadNews:
    key = (place.source, place.repository.lower(), thread.kind, thread.number)
    return news.setdefault(key, ThreadNews(place, thread))


def _branch(ref: str | None) -> str | None:
    """Return the branch or tag that a ref is; None for a commit and for the head of a change."""
    if ref is None or FULL_SHA.fullmatch(ref) or is_on_demand(ref):
        return None
    return ref.removeprefix("refs/heads/")


@contextmanager
def logged(what: str) -> Iterator[None]:
    """Log an error, which is a bug of ours, so that everything else is reported nevertheless."""
    try:
        yield
    except Exception:
        log.exception("%s is not reported: a bug in Stitcher (%s)", what, new_id())
