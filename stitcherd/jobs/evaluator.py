"""Decides deliveries and dispatches: what a sender says, the facts, and the rails; stores and runs nothing."""

from collections.abc import Mapping
from functools import lru_cache

from msgspec.structs import replace
from multidict import CIMultiDict

from shared.models import Delivery, Thread
from stitcherd import sandbox
from stitcherd.executors import kinds
from stitcherd.gates import BUILTINS
from stitcherd.rails.decide import Request, Ruling, decide, decide_dispatch
from stitcherd.rails.feasible import Facts
from stitcherd.rails.loops import is_bot
from stitcherd.rails.rulebook import Profile, Rulebook
from stitcherd.settings import Settings
from stitcherd.settings.tables import SourceSettings
from stitcherd.sources import SOURCES
from stitcherd.sources.body import FORM
from stitcherd.store.quotas import Chain, Day, Limit, Quota
from stitcherd.trigger import Trigger

PROFILES_KEPT = 256  # of all revisions of the rails; what was asked before is not worked out again


class SourceGone(Exception):
    """The source of a stored delivery is no longer there, is of another kind or belongs to another workspace."""


def is_form(headers: Mapping[str, str]) -> bool:
    """Say whether headers announce a form, with the JSON in its field `payload`."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() == FORM


def abilities(settings: Settings) -> Facts:
    """Return what the executors and gates of this house can do, whatever machine it stands on."""
    entries = settings.executors

    @lru_cache(PROFILES_KEPT)
    def objection(profile: Profile) -> str | None:
        entry = entries.get(profile.executor)
        return kinds.objection(entry, profile) if entry else None

    return Facts(
        executors=kinds.usable(entries),
        gates=dict.fromkeys(BUILTINS),
        toolless=frozenset(name for name, it in entries.items() if it.kind in kinds.TOOLLESS),
        objection=objection,
        unboxed=frozenset(name for name, it in entries.items() if it.kind not in kinds.BOXABLE),
        unmetered=frozenset(name for name, it in entries.items() if it.kind not in kinds.METERED),
    )


def bounds(
    ruling: Ruling, workspace: str, sender: str | None, repository: str | None, thread: Thread | None = None
) -> tuple[Limit, ...]:
    """Return what a job of a ruling counts against: rates, with who or what each counts; the day; bots in a row."""
    rules = ruling.limits
    if ruling.job is None:
        return ()
    here = f"{repository}#{thread.number} ({thread.kind})" if repository and thread else None
    whom = {"per_sender": sender, "per_repo": repository, "per_thread": here}
    found: list[Limit] = [
        Quota(rate.name, rate.line, rate.written, rate.most, rate.window, who.lower(), workspace)
        for rate in rules.rates
        if (who := whom[rate.name]) is not None
    ]
    if rules.per_day.limits:
        found.append(Day(rules.per_day, rules.day_line))
    if here is not None:
        found.append(Chain(here.lower(), workspace, is_bot(sender)))
    return tuple(found)


class Judge:
    """Knows what this house can do; which rails to ask is for the caller to say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._house = replace(abilities(settings), sandboxes={"none": None, "bwrap": sandbox.available()})

    def rule(
        self, source: SourceSettings, headers: Mapping[str, str], body: bytes, *, form: bool, rulebook: Rulebook | None
    ) -> tuple[Trigger, Ruling]:
        """Return what a delivery says and the ruling on it; raises NotJson and WrongShape.

        `headers` are case-insensitive, and the source's kind is one of SOURCES. No signature is asked for.
        """
        trigger = SOURCES[source.kind].parse(headers, body, source=source.name, bot=source.bot, form=form)
        return trigger, decide(trigger, rulebook, self._facts(trigger.repository, source.workspace, source.bot))

    def rule_again(
        self, delivery: Delivery, body: bytes, rulebook: Rulebook | None
    ) -> tuple[SourceSettings, Trigger, Ruling]:
        """Return the source of a stored delivery, what it says, and the ruling on it.

        Raises SourceGone, and NotJson or WrongShape for a body that could be read once.
        """
        source = self._settings.sources.get(delivery.source)
        if source is None or source.kind != delivery.kind or source.workspace != delivery.workspace_id:
            raise SourceGone(f"the source {delivery.source} of this delivery is no longer in stitcherd.toml as it was")
        headers = CIMultiDict(delivery.headers)
        return source, *self.rule(source, headers, body, form=is_form(headers), rulebook=rulebook)

    def rule_dispatch(
        self, request: Request, repository: str | None, workspace: str, rulebook: Rulebook | None
    ) -> Ruling:
        """Return the ruling on a manual dispatch; raises UnknownJobType."""
        return decide_dispatch(request, rulebook, self._facts(repository, workspace))

    def _facts(self, repository: str | None, workspace: str, bot: str | None = None) -> Facts:
        entry = self._settings.repository(repository) if repository else None
        unusable = publish = None
        if repository is not None and entry is None:
            unusable = f"{repository} matches no [repositories] entry of stitcherd.toml"
        elif entry is not None and entry.workspace != workspace:
            unusable = f"{repository} does not belong to workspace {workspace}"
        if entry is not None and not entry.is_path:
            publish = f"clone of {repository} is a URL, and this version can publish only into a path"
        about = {"repository": unusable, "publish": publish, "bot": bot}
        return replace(self._house, unbinding=sandbox.unbinding(), **about)
