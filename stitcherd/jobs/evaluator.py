"""Evaluates deliveries and dispatches under given rails, with the facts of this daemon; stores and runs nothing."""

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace
from multidict import CIMultiDict

from shared.deliveries import Delivery
from stitcherd.config.settings import Settings, SourceSettings
from stitcherd.executors import EXECUTORS
from stitcherd.gates import BUILTINS
from stitcherd.jobs.known_access import KnownAccess
from stitcherd.policy import AccountAccess
from stitcherd.rails.commands import thread_command
from stitcherd.rails.compiled import CompiledRails, ProfileRule
from stitcherd.rails.decide import DispatchRequest, Evaluation, decide, decide_dispatch
from stitcherd.rails.requirements import ExecutorFacts, RuntimeFacts
from stitcherd.sandbox import bubblewrap
from stitcherd.sources import SOURCES, WrongShape
from stitcherd.sources.payload import FORM
from stitcherd.sources.text import ignore_own_text
from stitcherd.sources.trigger import Trigger

MAX_CACHED_PROFILES = 256  # whose objections are cached, of all revisions of the rails


class SourceGone(Exception):
    """The source of a stored delivery was removed, or has another kind or workspace now."""


def is_form(headers: Mapping[str, str]) -> bool:
    """Return whether the headers declare a form, with the JSON in its field `payload`."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() == FORM


def configured_facts(settings: Settings) -> RuntimeFacts:
    """Return the facts that follow from the settings alone, whatever the machine."""
    classes = {name: EXECUTORS[table.kind] for name, table in settings.executors.items()}

    @lru_cache(MAX_CACHED_PROFILES)
    def objection(profile: ProfileRule) -> str | None:
        executor = classes.get(profile.executor)
        return executor.objection(profile) if executor else None

    return RuntimeFacts(
        executors={
            name: ExecutorFacts(
                unusable=executor.unusable(settings.executors[name]),
                holds_tools=executor.can_hold_tools(settings.executors[name]),
                sandboxable=executor.sandboxable,
                metered=executor.is_metered(settings.executors[name]),
            )
            for name, executor in classes.items()
        },
        gates=dict.fromkeys(BUILTINS),
        objection=objection,
    )


def _is_wanted(trigger: Trigger, may_be: Collection[str], rails: CompiledRails | None) -> bool:
    """Say whether rails would start a job for an event with one of some names, or let it approve one."""
    if rails is None or trigger.unusable is not None:
        return False
    return not rails.triggers.keys().isdisjoint(may_be) or thread_command(trigger, rails) is not None


class Evaluator:
    """Evaluates deliveries and dispatches with the settings and facts of this daemon.

    `account_ids` are the ids that are kept for accounts: a mapping that changes when they do. `can_push` says whether
    there is a credential for the repository at a URL. `known_access` is what forges have said of accounts; without it
    no forge can be asked. `own_ids` are the ids of the accounts that act for us, by source: a mapping that changes.
    With `any_machine`, sandboxes count as able to enforce everything, and forges as reachable, whatever is here.
    """

    def __init__(
        self,
        settings: Settings,
        account_ids: Mapping[str, str] = MappingProxyType({}),
        can_push: Callable[[str], bool] = lambda _clone: False,
        known_access: KnownAccess | None = None,
        own_ids: Mapping[str, str] = MappingProxyType({}),
        *,
        any_machine: bool = False,
    ) -> None:
        self._any_machine = any_machine
        self._own_ids = own_ids
        self._can_push = can_push
        self._settings = settings
        self._known_access = known_access
        self._static_facts = replace(
            configured_facts(settings),
            sandboxes={"none": None, "bwrap": None if any_machine else bubblewrap.unavailable_reason()},
            account_ids=account_ids,
        )

    def evaluate(
        self,
        source: SourceSettings,
        headers: Mapping[str, str],
        body: bytes,
        *,
        form: bool,
        rails: CompiledRails | None,
        access: Mapping[str, AccountAccess] = MappingProxyType({}),
    ) -> tuple[Trigger, Evaluation]:
        """Return a delivery's trigger and its evaluation; raises NotJson and WrongShape.

        What an event lacks is no error if the rails want none like it. `headers` are case-insensitive, and the source's
        kind is one of SOURCES. The signature is not checked. `access` is what accounts may do, by id, or that the forge
        did not say it; it counts before what is known otherwise.
        """
        try:
            trigger = SOURCES[source.kind].parse(headers, body, source=source.name, bot=source.bot, form=form)
        except WrongShape as error:
            if error.trigger is None or _is_wanted(error.trigger, error.may_be, rails):
                raise
            trigger = error.trigger  # no rails have its name, so it is ignored
        trigger = ignore_own_text(trigger, self._own_ids.get(source.name), source.bot)
        return trigger, decide(trigger, rails, self.facts(source, trigger, access))

    def reevaluate(
        self,
        delivery: Delivery,
        body: bytes,
        rails: CompiledRails | None,
        refused: Mapping[str, AccountAccess] = MappingProxyType({}),
    ) -> tuple[SourceSettings, Trigger, Evaluation]:
        """Return the source, the trigger and the evaluation of a stored delivery.

        Raises SourceGone, and NotJson or WrongShape for a body that cannot be read any more.
        """
        source = self._settings.sources.get(delivery.source)
        if source is None or source.kind != delivery.kind or source.workspace != delivery.workspace_id:
            raise SourceGone(f"the source {delivery.source} of this delivery is no longer in stitcherd.toml as it was")
        headers = CIMultiDict(delivery.headers)
        return source, *self.evaluate(source, headers, body, form=is_form(headers), rails=rails, access=refused)

    def evaluate_dispatch(
        self, request: DispatchRequest, repository: str | None, workspace: str, rails: CompiledRails | None
    ) -> Evaluation:
        """Return the evaluation of a manual dispatch; raises UnknownJobType."""
        return decide_dispatch(request, rails, self._facts(repository, workspace))

    def facts(
        self,
        source: SourceSettings,
        trigger: Trigger,
        access: Mapping[str, AccountAccess] = MappingProxyType({}),
    ) -> RuntimeFacts:
        """Return the facts for a delivery of a source; `access` is as in `evaluate`."""
        repository = trigger.repository
        more: dict[str, Any] = {"bot": source.bot, "head_ref": SOURCES[source.kind].head_ref(trigger.thread)}
        more["access"] = access
        if self._known_access is not None:
            cannot_ask = None if repository else "the delivery names no repository"
            if source.name not in self._known_access.sources:
                cannot_ask = f"source {source.name} has no api with a token"
            known = self._known_access.of(source.name, repository) if cannot_ask is None else {}
            more |= {"access": {**known, **access}, "cannot_ask": cannot_ask}
        elif self._any_machine and source.has_credential and repository:
            more["cannot_ask"] = None
        return self._facts(repository, source.workspace, **more)

    def _facts(self, repository: str | None, workspace: str, **more: Any) -> RuntimeFacts:
        entry = self._settings.repository(repository) if repository else None
        unusable = publish = None
        if repository is not None and entry is None:
            unusable = f"{repository} matches no [repositories] entry of stitcherd.toml"
        elif entry is not None and entry.workspace != workspace:
            unusable = f"{repository} does not belong to workspace {workspace}"
        if entry is not None and not entry.is_path and not self._can_push(entry.clone):
            publish = (
                f"clone of {repository} is a URL, and no source of workspace {entry.workspace} has api and token for"
                " its host"
            )
        return replace(
            self._static_facts,
            unenforceable_limits={} if self._any_machine else bubblewrap.unenforceable_limits(),
            repository=unusable,
            publish=publish,
            **more,
        )
