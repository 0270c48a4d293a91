"""The demo's webhooks: new issue comments, as GitHub or Gitea would send and sign them."""

import msgspec

from shared.deliveries import WebhookResponse
from tui.cli.comment_webhooks import NewComment, comment_body, comment_headers
from tui.cli.demo.environment import ACCOUNT_IDS, MEMBER, REPOSITORY, DemoEnvironment, DemoFailed
from tui.client import listener
from tui.client.http import decode

_TIMEOUT = 10.0  # seconds, as GitHub's own


class IssueComment(msgspec.Struct, frozen=True):
    """A new comment on an issue that `octocat` opened."""

    issue: int
    title: str
    login: str
    text: str
    id: int | None = None  # of the comment, where there is a forge that has it


def send_comment(environment: DemoEnvironment, comment: IssueComment) -> tuple[int, WebhookResponse]:
    """Deliver a comment to the daemon's public listener; return the HTTP status and the response."""
    kind, number = environment.source, comment.id or comment.issue * 1000 + 1
    content = comment_body(
        kind,
        NewComment(REPOSITORY, comment.issue, comment.title, MEMBER, comment.login, comment.text, number, ACCOUNT_IDS),
    )
    headers = comment_headers(kind, environment.secret, content)
    status, response = listener.post_webhook("127.0.0.1", environment.port, kind, content, headers, _TIMEOUT)
    if status >= 400:
        raise DemoFailed(f"the webhook was answered {status}: {response.decode('utf-8', 'replace')[:300]}")
    return status, decode(response, WebhookResponse)
