"""Tells one target of [[notify]] of an event: runs its command, or posts to its URL, signed by Standard Webhooks.

A notification may be told twice only if the daemon ended before it knew that the first time was enough. A receiver
recognises the second one by its webhook-id, which stays the same for all tries.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from shared import VERSION
from shared.ids import now_ms
from shared.models import Failure
from stitcherd import processes
from stitcherd.config.notify import NotifySettings
from stitcherd.forges.base import Response
from stitcherd.forges.outcome import RetryAt, retry_delay
from stitcherd.forges.rate_limit import retry_after
from stitcherd.reporting.foreign_text import plain_line
from stitcherd.reporting.notices import Mask, Notice, body_of, fill_in
from stitcherd.reporting.sender import Delivered, SendResult
from stitcherd.sources import standard
from stitcherd.store.outbox import TakenAnswer

REQUEST_SECONDS = 10.0
COMMAND_SECONDS = 30.0
_OUTPUT_KEPT = 4096  # bytes of what a command prints, the last ones
_GONE = 410  # Standard Webhooks: the receiver wants nothing more


class NotificationSender:
    """Tells one target; `mask` returns a text with secrets masked, and commands run below `directory`."""

    account = None

    def __init__(
        self,
        target: NotifySettings,
        mask: Mask,
        directory: Path,
        now: Callable[[], int] = now_ms,
        command_seconds: float = COMMAND_SECONDS,
    ) -> None:
        self._target = target
        self._mask = mask
        self._directory = directory
        self._now = now
        self._command_seconds = command_seconds

    async def probe(self) -> None:
        """Ask nobody: that a target cannot be reached is known when it is to be told something."""

    async def send(self, taken: TakenAnswer) -> SendResult:
        """Tell the target, and return what became of that."""
        try:
            notice = msgspec.json.decode(taken.desired, type=Notice)
        except msgspec.ValidationError as error:
            return Failure("refused", f"this version cannot read what is to be told: {error}")
        if self._target.run is not None:
            return await self._run(taken, fill_in(self._target.run, notice, self._mask))
        return await self._post(taken, body_of(notice, self._mask))

    async def _run(self, taken: TakenAnswer, argv: list[str]) -> SendResult:
        directory = self._directory / taken.id
        if taken.uncertain:  # what an earlier daemon started must not go on beside the same command
            await processes.end_all(taken.id, directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        output = bytearray()

        def keep_end(data: bytes) -> None:
            output.extend(data)
            del output[:-_OUTPUT_KEPT]

        environment = {**os.environ, "TMPDIR": str(directory), "STITCHER_JOB_ID": taken.id}  # by which it is found
        try:
            ended = await processes.run(
                argv,
                cwd=directory,
                env=environment,
                timeout=self._command_seconds,
                write=keep_end,
                job_id=taken.id,
                root=directory,
            )
        except processes.CannotStart as error:
            return self._later(taken, str(error))
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        if ended.ok:
            return Delivered()
        if ended.timed_out:
            return self._later(taken, f"{argv[0]} was still running after {self._command_seconds:g} s and was ended")
        said = output.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return self._later(taken, f"{argv[0]} {ended}{f': {said}' if said else ''}")

    async def _post(self, taken: TakenAnswer, body: bytes) -> SendResult:
        url, secret = self._target.url or "", self._target.secret or b""
        seconds = str(self._now() // 1000)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"stitcherd/{VERSION}",
            standard.ID_HEADER: taken.id,
            standard.TIMESTAMP_HEADER: seconds,
            standard.SIGNATURE_HEADER: standard.signature(secret, taken.id, seconds, body),
        }
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                return self._result(taken, Response(response.status, response.headers, None))
        except TimeoutError:
            return self._later(taken, f"{self._target.label} did not answer within {REQUEST_SECONDS:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return self._later(taken, f"{self._target.label} cannot be reached: {error or type(error).__name__}")

    def _result(self, taken: TakenAnswer, response: Response) -> SendResult:
        """Return what a response means; all but a success and 410 may be different the next time."""
        if 200 <= response.status < 300:
            return Delivered()
        said = f"{self._target.label} answered {response.status}"
        if response.status == _GONE:
            return Failure("gone", said, "it wants no more: take its [[notify]] out of stitcherd.toml")
        if 300 <= response.status < 400:
            said += ": redirects are not followed"
        return self._later(taken, said, retry_after(response, self._now()))

    def _later(self, taken: TakenAnswer, reason: str, earliest: int | None = None) -> RetryAt:
        at = self._now() + retry_delay(taken.tries, random.uniform(-1, 1))  # noqa: S311 (a delay)
        return RetryAt(max(at, earliest or 0), plain_line(reason, self._mask))
