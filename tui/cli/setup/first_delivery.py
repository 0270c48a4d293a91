"""The first webhook: a signed comment that asks for nothing, and what the rails would decide about one that asks."""

from http.client import HTTPException

from msgspec import Struct

from shared.deliveries import WebhookResponse
from shared.models import Decision
from tui.cli.comment_webhooks import NewComment, comment_body, comment_headers
from tui.cli.setup.answers import ForgeAnswer, SetupAnswers
from tui.client import api, listener
from tui.client.http import DaemonClient, decode

_TIMEOUT = 10.0  # seconds
_NOBODY = "nobody-in-particular"
_COMMENT_ID = 1


class FirstDelivery(Struct, frozen=True):
    """What became of the delivery, and the decision on a comment that was not sent; `login` is who would write it."""

    status: int
    verdict: str
    reason: str
    delivery: str
    asked: str
    login: str
    decision: Decision


class DeliveryFailed(Exception):
    """The webhook was not accepted; the message says what was answered."""


def send_first_delivery(
    client: DaemonClient, forge: ForgeAnswer, answers: SetupAnswers, host: str, port: int
) -> FirstDelivery:
    """Send the comment to the public listener, and ask for the decision about `@bot fix`, by which nothing is stored.

    Neither can start a job. No account has an id in them but one of the rails, so that none is remembered. Raises
    DeliveryFailed, ApiError, DaemonUnreachable, InvalidResponse.
    """
    kind, secret = forge.kind.name, answers.variables[forge.kind.secret_name]
    login, ids = _account(answers)
    body = comment_body(kind, _comment(answers, login, ids, "A test of `stitcher init`, which asks for nothing."))
    headers = comment_headers(kind, secret, body)
    try:
        status, content = listener.post_webhook(host, port, kind, body, headers, _TIMEOUT)
    except (OSError, HTTPException) as error:
        raise DeliveryFailed(str(error)) from error
    if status >= 400:
        raise DeliveryFailed(f"it was answered {status}: {content.decode('utf-8', 'replace')[:300]}")
    response = decode(content, WebhookResponse)
    asked = f"@{forge.bot} fix"
    request = comment_body(kind, _comment(answers, login, ids, f"{asked} this"))
    decision = api.explain(client, kind, comment_headers(kind, secret, request), request).value
    return FirstDelivery(status, response.verdict.value, response.reason, response.delivery_id, asked, login, decision)


def _account(answers: SetupAnswers) -> tuple[str, dict[str, int]]:
    """Return the first account that may start jobs, with its id if it was named with one.

    There is none where the source itself may, which sends no author.
    """
    if answers.allowed and answers.allowed.by_source:
        return "", {}
    logins = answers.allowed.logins if answers.allowed else ()
    login, _, number = (logins[0] if logins else _NOBODY).partition("#")
    return login, {login: int(number)} if number else {}


def _comment(answers: SetupAnswers, login: str, ids: dict[str, int], text: str) -> NewComment:
    pattern = answers.repositories[0] if answers.repositories else "octo-org/api"
    return NewComment(pattern.replace("*", "test"), 1, "Test", login, login, text, _COMMENT_ID, ids)
