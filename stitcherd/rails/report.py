"""Decides what is reported of a job or a denial, and to whom it is explained."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from msgspec import structs

from shared.api import RailsFault
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.policy import AccountAccess
from stitcherd.rails.accounts import changed_accounts
from stitcherd.rails.compiled import CompiledRails, JobType, ReportRules
from stitcherd.rails.groups import People, membership_of_any
from stitcherd.rails.schema import RailsFile
from stitcherd.sources.trigger import Trigger

COMMENT = "issue:comment"
_CAPABILITIES = {"acknowledge": COMMENT, "thread": COMMENT, "status": "status:set", "change": "change:open"}


def report_of(rails: CompiledRails, job: JobType) -> ReportRules:
    """Return what is reported of jobs of a type: what the rails want, as far as its profile has the capability."""
    held, rules = job.profile.capabilities, rails.report
    comments = COMMENT in held
    return structs.replace(
        rules,
        acknowledge=rules.acknowledge and comments,
        comment=rules.comment and comments,
        status=rules.status if "status:set" in held else None,
        change=rules.change if "change:open" in held else None,
        explain_denials_to=rules.explain_denials_to if comments else (),
    )


def report_without_job(rails: CompiledRails, trigger: str | None) -> ReportRules:
    """Return what is reported of a delivery that led to no job, though `trigger` matched, or none did.

    It is what would have been reported of the job; without a trigger, what is reported of any type of job.
    """
    rules = [rule for each in rails.triggers.values() for rule in each if trigger in {None, rule.id}]
    found = (report_of(rails, rule.job) for rule in rules)
    return next((each for each in found if each.acknowledge or each.comment), ReportRules())


def is_informed(
    rules: ReportRules,
    trigger: Trigger,
    rails: CompiledRails,
    account_ids: Mapping[str, str],
    access: Mapping[str, AccountAccess] = MappingProxyType({}),
) -> bool:
    """Say whether the sender of a delivery is told why it was denied.

    `account_ids` are those kept for accounts, and `access` is what accounts, by id, may do, as far as it is known.
    """
    if trigger.sender is None:
        return False
    people = People(trigger, changed_accounts(trigger, rails.accounts, account_ids), access)
    return membership_of_any(rules.explain_denials_to, trigger.sender, people)[0].member is True


def commands_of(rails: CompiledRails, event: str | None) -> tuple[str, ...]:
    """Return the verbs that a comment of this event may have."""
    rules = rails.triggers.get(event or "", ())
    return tuple(dict.fromkeys(rule.command for rule in rules if rule.command is not None))


def report_warnings(file: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    """Yield a warning for each key of `report` that no type of job may do, or that has no effect."""
    held = {
        capability
        for job in file.jobs.values()
        if job.profile in file.profiles
        for capability in file.profiles[job.profile].capabilities
    }
    for key, capability in _CAPABILITIES.items():
        if getattr(file.report, key) is not None and capability not in held:
            message = f"{key} has no effect: no profile of a job has the capability {capability}"
            yield RailsFault(*root.key_at(("report", key)), message)
    if file.report.explain_denials_to and file.report.thread is None:
        message = "explain_denials_to has no effect without thread: single-comment"
        yield RailsFault(*root.key_at(("report", "explain_denials_to")), message)
