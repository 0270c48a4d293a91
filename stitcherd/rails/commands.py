"""Recognises the commands that every thread has, besides those of the triggers, and words decisions on them; pure."""

from collections.abc import Sequence

from shared.models import Check, CheckOutcome, Decision, Verdict
from shared.protocol import ID_SUFFIX_MIN
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.globs import fold
from stitcherd.rails.groups import People, describe_account
from stitcherd.rails.senders import sent_by_author
from stitcherd.sources.trigger import Command, Trigger

DENY, CANCEL, RETRY = "deny", "cancel", "retry"
HELP, STATUS, WHY = "help", "status", "why"
QUESTIONS = frozenset({HELP, STATUS, WHY})  # they change nothing: the answer is on the thread
ANSWERED = "it is answered on the thread"  # the end of the reason of such a decision

_OUTCOMES = {
    Verdict.ALLOWED: CheckOutcome.PASS,
    Verdict.IGNORED: CheckOutcome.PASS,
    Verdict.DECIDING: CheckOutcome.ASK,
}


def thread_command(trigger: Trigger, rails: CompiledRails | None) -> Command | None:
    """Return the command of a comment that begins with one that every thread has, None for any other comment.

    A trigger of the rails with the same command takes precedence, and rails that run nothing carry out nothing.
    """
    if rails is None or rails.mode == "observe" or trigger.unusable is not None:
        return None
    command = next(iter(trigger.commands), None)
    if command is None or not sent_by_author(trigger):
        return None
    if command.verb not in thread_verbs(rails):
        return None
    rules = rails.triggers.get(trigger.name or "", ())
    return None if any(rule.command == command.verb for rule in rules) else command


def thread_verbs(rails: CompiledRails) -> tuple[str, ...]:
    """Return the verbs that every thread has."""
    return (rails.approvals.command, DENY, CANCEL, RETRY, STATUS, WHY, HELP)


def is_approval(command: Command, rails: CompiledRails) -> bool:
    """Say whether a command approves or denies what waits."""
    return command.verb in {rails.approvals.command, DENY}


def named_ids(command: Command, ids: Sequence[str], which: str) -> tuple[list[str], str | None]:
    """Return which of the ids of jobs a command names, and the reason that it gives, or why it names none.

    One that names none means all of them, which are described by `which`: it "waits on this thread".
    """
    _, _, rest = command.text.partition(" ")
    ending = written_ending(command)
    if ending is not None:
        named = [job_id for job_id in ids if job_id.endswith(ending)]
        if named:
            return named, rest.strip() or None
        if not set(ending) - set("0123456789abcdef-") and set(ending) & set("0123456789"):
            return [], f"no job whose id ends with {ending} {which}"
    return list(ids), (command.text or None) if ids else None


def written_ending(command: Command) -> str | None:
    """Return the first word after a command where it may be the end of an id; it may be a word of the reason too."""
    ending = command.text.partition(" ")[0].lower()
    return ending if len(ending) >= ID_SUFFIX_MIN else None


def unfit_sender(people: People) -> str | None:
    """Return why the sender of a comment may not command anything, whoever it is; None where it may be able to."""
    sender, author = people.trigger.sender, people.trigger.author
    if sender is None or author is None or fold(author) != fold(sender):
        return "it is not known who wrote it"
    change = people.changed.get(fold(sender))
    if change is not None:
        return f"{change.reason}; {change.remedy.text}" if change.remedy else change.reason
    return None


def command_decision(
    command: Command,
    rails: CompiledRails,
    verdict: Verdict,
    reason: str,
    because: str,
    people: People | None = None,
    wanted: str | None = None,
) -> Decision:
    """Return the decision on a command; `because` says what kind it is, `wanted` who may give it."""
    checks = [Check("trigger", "trigger", CheckOutcome.PASS, None, command.verb, f"command {command.verb}", because)]
    if people is not None:
        sender = people.trigger.sender
        seen = describe_account(sender, people) if sender else None
        checks.append(Check("who", "who", _OUTCOMES.get(verdict, CheckOutcome.FAIL), None, seen, wanted))
    return Decision(
        verdict=verdict,
        reason=reason,
        rails_revision=rails.revision,
        rails_digest=rails.digest,
        checks=tuple(checks),
    )
