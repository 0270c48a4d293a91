"""The demo's scenario at a forge: who may ask is looked up there, and the answers, the commit and a change go there."""

import time
from collections.abc import Callable

from shared.deliveries import Delivery
from shared.models import OPEN_STATUSES, RunnerJob, Status, Verdict
from tui.cli.demo.environment import BOT, MEMBER, STRANGER, DemoEnvironment, DemoFailed
from tui.cli.demo.forge import DemoForge
from tui.cli.demo.progress import follow_job
from tui.cli.demo.scenario import DemoCheck, WriteLine, act, check_branch
from tui.cli.demo.webhooks import IssueComment
from tui.client import api
from tui.client.http import DaemonClient
from tui.text.decisions import Paint
from tui.text.plain import plain, truncate

_TIMEOUT = 30.0  # seconds; the comment is edited every 5 s at most, and writes are a second apart
_POLL_SECONDS = 0.05
_MEANING_CELLS = 110
_ISSUE = 479
_TITLE = "Pagination drops the last row"


def run_forge_scenario(
    environment: DemoEnvironment, forge: DemoForge, write: WriteLine, paint: Paint
) -> list[DemoCheck]:
    """Run both acts and return what was checked; raises DemoFailed if one cannot continue."""
    client = DaemonClient(environment.socket)
    text = f"@{BOT} fix the last row of a page is missing"
    delivery, comment = _ask(
        2, f"{MEMBER}, who may write there, asks for a fix", MEMBER, text, environment, forge, write
    )
    if delivery.job_id is None:
        raise DemoFailed(f"the webhook should have been allowed: {plain(delivery.reason)}")
    job = follow_job(client, delivery.job_id, write, paint)
    _wait(lambda: _is_reported(forge, job), "the forge had the answers")
    checks = [
        DemoCheck(
            "the webhook was answered 202 and decided by what the forge says", delivery.verdict is Verdict.ALLOWED
        ),
        DemoCheck("the job is COMPLETED", job.status is Status.COMPLETED),
        *check_branch(environment, job, write),
        *_check_answers(forge, job, comment),
    ]
    title = f"{STRANGER}, who may only read, asks for more"
    by_stranger, second = _ask(3, title, STRANGER, f"@{BOT} fix this too", environment, forge, write)
    _wait(lambda: (second, "-1") in forge.reactions, "the stranger had a reaction")
    checks += [
        DemoCheck("the stranger was denied and told so, and nothing ran", by_stranger.verdict is Verdict.DENIED),
        DemoCheck("one job was made", len(api.list_jobs(client).value.items) == 1),
    ]
    _print_log(forge, write)
    return [*checks, DemoCheck("the forge answered every request", all(each.status < 400 for each in forge.log))]


def _ask(
    number: int,
    title: str,
    login: str,
    text: str,
    environment: DemoEnvironment,
    forge: DemoForge,
    write: WriteLine,
) -> tuple[Delivery, int]:
    """Write a comment at the forge, which sends the webhook; return the delivery once decided, and the comment."""
    comment = forge.add_comment(_ISSUE, login, text)
    _, response = act(number, title, environment, IssueComment(_ISSUE, _TITLE, login, text, comment), write)
    client = DaemonClient(environment.socket)
    delivery = api.get_delivery(client, response.delivery_id).value
    deadline = time.monotonic() + _TIMEOUT
    while delivery.verdict is Verdict.DECIDING:
        if time.monotonic() > deadline:
            raise DemoFailed(f"the delivery was not decided within {_TIMEOUT:g} s")
        time.sleep(_POLL_SECONDS)
        delivery = api.get_delivery(client, response.delivery_id).value
    write(f"   Decided: {delivery.verdict.value} ({plain(delivery.reason)})")
    return delivery, comment


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise DemoFailed(f"it took more than {_TIMEOUT:g} s until {what}")
        time.sleep(_POLL_SECONDS)


def _is_reported(forge: DemoForge, job: RunnerJob) -> bool:
    ours = _own_comments(forge)
    ended = job.status not in OPEN_STATUSES and any("is done" in each or "failed" in each for each in ours)
    return ended and bool(forge.changes) and _status_at_head(forge) == "success"


def _own_comments(forge: DemoForge) -> list[str]:
    return [str(each["body"]) for each in list(forge.comments.values()) if each["user"]["login"] == BOT]


def _status_at_head(forge: DemoForge) -> str | None:
    """Return the latest status of the commit that the change proposes."""
    heads = {change["head"]["sha"] for change in forge.changes}
    return next((str(body["state"]) for sha, body in reversed(forge.statuses) if sha in heads), None)


def _check_answers(forge: DemoForge, job: RunnerJob, comment: int) -> list[DemoCheck]:
    edits = sum(each.method == "PATCH" for each in forge.log)
    branches = [(change["head"]["ref"], change["base"]["ref"]) for change in forge.changes]
    return [
        DemoCheck("the forge was asked what the account may do", any("/permission" in each.path for each in forge.log)),
        DemoCheck("the comment that asked has a reaction", (comment, "eyes") in forge.reactions),
        DemoCheck(f"there is one comment of {BOT}, edited until the end", len(_own_comments(forge)) == 1 and edits > 0),
        DemoCheck("a change proposes the branch for main, and nothing else", branches == [(job.branch, "main")]),
        DemoCheck("the commit of the change has the status success", _status_at_head(forge) == "success"),
    ]


def _print_log(forge: DemoForge, write: WriteLine) -> None:
    write("")
    write("4. What the forge saw, in order")
    for each in list(forge.log):
        write(f"   {each.seconds:5.1f} s  {each.method:5}  {truncate(plain(each.meaning), _MEANING_CELLS)}")
    write("")
    write("   The comment at the end:")
    for comment in _own_comments(forge):
        shown, _, _ = comment.partition("<!--")  # the mark by which the daemon finds it again
        for line in shown.rstrip().splitlines():
            write(f"   | {truncate(plain(line), _MEANING_CELLS)}".rstrip())
