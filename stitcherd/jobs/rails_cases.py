"""Decides the cases of a policy as their deliveries would be, on any machine; stores and runs nothing."""

from collections.abc import Mapping, Sequence
from functools import partial

from multidict import CIMultiDict

from shared.checks import CaseResult
from stitcherd.config.errors import unknown_name
from stitcherd.config.settings import Settings
from stitcherd.forges.connections import find_source
from stitcherd.jobs.evaluator import Evaluator, is_form
from stitcherd.policy import AccountAccess
from stitcherd.rails.cases import CaseSpec, RailsCase
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.globs import fold
from stitcherd.sources import NotJson, WrongShape
from stitcherd.sources.trigger import Trigger


def run_cases(cases: Sequence[RailsCase], rails: CompiledRails, settings: Settings) -> tuple[CaseResult, ...]:
    """Return the result of each case.

    Limits are left out, since nothing has happened yet. A permission that a case does not tell is one that would have
    to be asked: then the verdict is deciding.
    """
    evaluator = Evaluator(settings, can_push=partial(_has_credential, settings), any_machine=True)
    return tuple(_run(case, rails, settings, evaluator) for case in cases)


def _run(case: RailsCase, rails: CompiledRails, settings: Settings, evaluator: Evaluator) -> CaseResult:
    spec = case.spec
    met, found = False, ""
    source = settings.sources.get(spec.source)
    if source is None:
        found = unknown_name("source", spec.source, settings.sources)
    else:
        headers = CIMultiDict(spec.headers)
        try:
            evaluate = partial(evaluator.evaluate, source, headers, case.body, form=is_form(headers), rails=rails)
            trigger, evaluation = evaluate()
            if spec.permissions:
                trigger, evaluation = evaluate(access=_access(spec, trigger))
        except (NotJson, WrongShape) as error:
            found = f"it cannot be read: {error}"
        else:
            decision, job = evaluation.decision, evaluation.job.name if evaluation.job else None
            met = case.is_met(decision.verdict, job, decision.reason)
            found = f"{decision.verdict.value}{f' {job}' if job else ''}: {decision.reason}"
    return CaseResult(spec.name, case.line, met, case.expected(), found)


def _access(spec: CaseSpec, trigger: Trigger) -> Mapping[str, AccountAccess]:
    """Return what the forge would say of the accounts of a delivery, by their ids there."""
    return {
        number: AccountAccess(level, 0)
        for login, level in spec.permissions.items()
        for number in trigger.account_ids.get(fold(f"{spec.source}:{login}"), ())
    }


def _has_credential(settings: Settings, clone: str) -> bool:
    return find_source(settings, clone) is not None
