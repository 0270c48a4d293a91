"""Decides deliveries and dispatches: what a sender says, the facts, and the rails; stores and runs nothing."""

from collections.abc import Mapping
from functools import lru_cache

from msgspec.structs import replace
from multidict import CIMultiDict

from shared.models import Delivery
from stitcherd.config.settings import Settings, SourceSettings
from stitcherd.executors import EXECUTORS
from stitcherd.gates import BUILTINS
from stitcherd.rails.compiled import CompiledRails, ProfileRule
from stitcherd.rails.decide import DispatchRequest, Evaluation, decide, decide_dispatch
from stitcherd.rails.requirements import ExecutorFacts, RuntimeFacts
from stitcherd.sandbox import bubblewrap
from stitcherd.sources import SOURCES
from stitcherd.sources.payload import FORM
from stitcherd.sources.trigger import Trigger

MAX_CACHED_PROFILES = 256  # of all revisions of the rails; what was asked before is not worked out again


class SourceGone(Exception):
    """The source of a stored delivery is no longer there, is of another kind or belongs to another workspace."""


def is_form(headers: Mapping[str, str]) -> bool:
    """Say whether headers announce a form, with the JSON in its field `payload`."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() == FORM


def configured_facts(settings: Settings) -> RuntimeFacts:
    """Return what the executors and gates of this house can do, whatever machine it stands on."""
    classes = {name: EXECUTORS[table.kind] for name, table in settings.executors.items()}

    @lru_cache(MAX_CACHED_PROFILES)
    def objection(profile: ProfileRule) -> str | None:
        executor = classes.get(profile.executor)
        return executor.objection(profile) if executor else None

    return RuntimeFacts(
        executors={
            name: ExecutorFacts(
                unusable=executor.unusable(settings.executors[name]),
                holds_tools=executor.holds_tools,
                sandboxable=executor.sandboxable,
                metered=executor.metered,
            )
            for name, executor in classes.items()
        },
        gates=dict.fromkeys(BUILTINS),
        objection=objection,
    )


class Evaluator:
    """Knows what this house can do; which rails to ask is for the caller to say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._house = replace(
            configured_facts(settings), sandboxes={"none": None, "bwrap": bubblewrap.unavailable_reason()}
        )

    def rule(
        self,
        source: SourceSettings,
        headers: Mapping[str, str],
        body: bytes,
        *,
        form: bool,
        rulebook: CompiledRails | None,
    ) -> tuple[Trigger, Evaluation]:
        """Return what a delivery says and the ruling on it; raises NotJson and WrongShape.

        `headers` are case-insensitive, and the source's kind is one of SOURCES. No signature is asked for.
        """
        trigger = SOURCES[source.kind].parse(headers, body, source=source.name, bot=source.bot, form=form)
        return trigger, decide(trigger, rulebook, self._facts(trigger.repository, source.workspace, source.bot))

    def reevaluate(
        self, delivery: Delivery, body: bytes, rulebook: CompiledRails | None
    ) -> tuple[SourceSettings, Trigger, Evaluation]:
        """Return the source of a stored delivery, what it says, and the ruling on it.

        Raises SourceGone, and NotJson or WrongShape for a body that could be read once.
        """
        source = self._settings.sources.get(delivery.source)
        if source is None or source.kind != delivery.kind or source.workspace != delivery.workspace_id:
            raise SourceGone(f"the source {delivery.source} of this delivery is no longer in stitcherd.toml as it was")
        headers = CIMultiDict(delivery.headers)
        return source, *self.rule(source, headers, body, form=is_form(headers), rulebook=rulebook)

    def evaluate_dispatch(
        self, request: DispatchRequest, repository: str | None, workspace: str, rulebook: CompiledRails | None
    ) -> Evaluation:
        """Return the ruling on a manual dispatch; raises UnknownJobType."""
        return decide_dispatch(request, rulebook, self._facts(repository, workspace))

    def _facts(self, repository: str | None, workspace: str, bot: str | None = None) -> RuntimeFacts:
        entry = self._settings.repository(repository) if repository else None
        unusable = publish = None
        if repository is not None and entry is None:
            unusable = f"{repository} matches no [repositories] entry of stitcherd.toml"
        elif entry is not None and entry.workspace != workspace:
            unusable = f"{repository} does not belong to workspace {workspace}"
        if entry is not None and not entry.is_path:
            publish = f"clone of {repository} is a URL, and this version can publish only into a path"
        about = {"repository": unusable, "publish": publish, "bot": bot}
        return replace(self._house, unenforceable_limits=bubblewrap.unenforceable_limits(), **about)
