"""A fake forge in a thread of its own, for daemons that are real processes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.harness import DaemonHarness
from tests.e2e.http_client import Reply
from tests.e2e.webhooks import SECRETS, signed_headers
from tests.forges import threaded
from tests.forges.fake import FakeComment, Sent
from tests.forges.harness import FAKES, TOKEN
from tests.forges.webhooks import comment_webhook, signature
from tests.stitcherd.reporting.outbox_harness import understand_lost

SOURCE = """
[sources.{source}]
kind = "{kind}"
secrets = [{{env = "E2E_SECRET"}}]
api = "{api}"
token = {{file = "{token}"}}
"""


class ThreadedForge:
    """A fake of a kind of forge that a daemon reaches; its times are those of the clock."""

    def __init__(self, kind: str = "github", source: str = "hub") -> None:
        self.kind = kind
        self.source = source
        self.fake = FAKES[kind]()
        began = datetime.now(UTC)
        self.fake._times = iter(began + timedelta(milliseconds=each) for each in range(100_000))
        understand_lost(self.fake)
        self._served = threaded.ThreadedForge(self.fake)

    def close(self) -> None:
        """Close the fake, which must have seen only what its API allows, and end its thread."""
        self._served.close()

    def fail(self, *faults: Any) -> None:
        """Answer the next requests with faults."""
        self.fake.faults[:] = faults

    def settings(self, daemon: DaemonHarness) -> str:
        """Return the settings of its source for a daemon."""
        token = daemon.root / "forge-token"
        token.touch(mode=0o600)
        token.write_text(TOKEN)
        return SOURCE.format(source=self.source, kind=self.kind, api=self.fake.api, token=token)

    def comment(self, daemon: DaemonHarness, body: bytes, text: str, number: int = 479, by: int = 2) -> Reply:
        """Write a comment at the forge, and deliver the webhook `body` of it; return the daemon's answer."""
        written = self.fake.add_comment(self.fake.thread(number), self.fake.accounts[by], text)
        document = json.loads(body)
        author = {"id": by, "login": self.fake.accounts[by].login}
        document["comment"] |= {"id": written.id, "body": text, "user": author}
        document["sender"] = author
        encoded = json.dumps(document).encode()
        return daemon.public("POST", f"/stitcher/webhook/{self.source}", encoded, signed_headers(encoded))

    def command(self, daemon: DaemonHarness, text: str, *, number: int = 479, by: int = 2) -> Any:
        """Write a comment on a thread at the forge, and deliver its webhook; return the daemon's answer."""
        author, thread = self.fake.accounts[by], self.fake.thread(number)
        written = self.fake.add_comment(thread, author, text)
        about: dict[str, Any] = {"number": number, "repository": self.fake.repository.name}
        about["change"] = thread.kind == "change"
        body, headers = comment_webhook(self.kind, author, text, comment=written.id, **about)
        headers |= {"Content-Type": "application/json"} | signature(self.kind, body, SECRETS["github"].encode())
        reply = daemon.public("POST", f"/stitcher/webhook/{self.source}", body, headers)
        assert reply.status in {200, 202}, reply.body
        return reply.json

    def reactions(self, number: int = 479) -> set[tuple[int, str]]:
        """Return all reactions to the comments of a thread, as (account, content)."""
        return set().union(*(each.reactions for each in self.fake.thread(number).comments))

    def ours(self, number: int = 479) -> list[FakeComment]:
        """Return the comments of a thread by our account."""
        return [each for each in self.fake.thread(number).comments if each.author.id == self.fake.bot.id]

    def sent(self, method: str, part: str) -> list[Sent]:
        """Return the requests of a method whose path has a part."""
        return [each for each in self.fake.log if each.method == method and part in each.path]
