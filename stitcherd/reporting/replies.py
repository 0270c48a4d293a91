"""What a question on a thread is answered: the commands that there are, the state of the jobs, or a decision; pure."""

from shared.deliveries import Delivery
from shared.models import CheckOutcome
from stitcherd.rails.commands import CANCEL, DENY, HELP, RETRY, STATUS, WHY
from stitcherd.rails.compiled import CompiledRails
from stitcherd.reporting.contents import HelpReport, WhyReport
from stitcherd.reporting.desired import login_of
from stitcherd.sources.trigger import Trigger

_ABOUT = {
    DENY: "denies a job that waits for an approval",
    CANCEL: "cancels the open job of this thread, or the one whose id ends as written after it",
    RETRY: "runs a job of this thread again that failed or was cancelled",
    STATUS: "shows the jobs of this thread",
    WHY: "says why the last request on this thread was decided as it was",
    HELP: "shows this list",
}


def help_reply(trigger: Trigger, rails: CompiledRails, at: int) -> HelpReport:
    """Return the commands that comments like this one may have; those of the rails take precedence."""
    rules = rails.triggers.get(trigger.name or "", ())
    jobs = {rule.command: f"starts a job {rule.job.name}" for rule in rules if rule.command is not None}
    every = {rails.approvals.command: "approves a job that waits for it", **_ABOUT}
    return HelpReport(login_of(trigger.sender), tuple({**every, **jobs}.items()), at)


def why_reply(trigger: Trigger, asked_about: Delivery | None, at: int) -> WhyReport:
    """Return why a delivery was decided as it was; None is no delivery."""
    sender = login_of(trigger.sender)
    if asked_about is None:
        return WhyReport(sender, at)
    decision = asked_about.decision
    checks = decision.checks if decision else ()
    decisive = next((each for each in checks if each.outcome in {CheckOutcome.FAIL, CheckOutcome.ASK}), None)
    return WhyReport(
        sender,
        at,
        asked_about.id,
        asked_about.verdict,
        asked_about.reason,
        (decisive.id, decisive.seen or "", decisive.wanted or "", decisive.line) if decisive else None,
        decision.remedy.text if decision and decision.remedy else None,
    )
