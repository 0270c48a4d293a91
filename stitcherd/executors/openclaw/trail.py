"""What is known of a run: what finds it again, and what of it was heard and counted."""

import logging

from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.executors import Voice
from stitcherd.executors.openclaw import answers
from stitcherd.executors.openclaw.answers import History, Interrupted, Row, Session
from stitcherd.executors.openclaw.connection import Connection
from stitcherd.executors.openclaw.hearing import Hearing
from stitcherd.executors.openclaw.meter import Meter
from stitcherd.executors.openclaw.reference import Reference

HISTORY = 1000  # lines of a transcript

log = logging.getLogger(__name__)


class Trail:
    """Follows a run through connections and restarts; `adopt` says whether one that the gateway resumed is still it."""

    def __init__(self, voice: Voice, reference: Reference, budget: Budget, *, adopt: bool) -> None:
        self.reference = reference
        self.runs = reference.runs.split()  # its ids, the newest last
        self.meter = Meter(budget, Usage(reference.input, reference.output, reference.usd, reference.turns))
        self.hearing = Hearing(voice, self.meter, self._renewed)
        self._voice = voice
        self._adopt = adopt

    async def begin(self, boot: str) -> None:
        """Remember the run, which is about to begin, or goes on, in the gateway of this boot."""
        await self._voice.remember(self._renewed(boot))

    async def read(self, gateway: Connection) -> tuple[list[Row], bool]:
        """Read the transcript for what was missed of the run; return it, and whether the run goes on.

        Raises Interrupted where it goes on under another id, and is not to be adopted.
        """
        found = await gateway.request("chat.history", {"sessionKey": self.reference.key, "limit": HISTORY})
        history = answers.read(found, History) or History()
        if history.in_flight_run:
            await self._take_over(gateway, history.in_flight_run.run_id)
        rows = history.rows()
        for row in rows:
            if row.marks.run_id in self.runs:
                self.meter.count(row)
        await self.hearing.report()
        return rows, history.in_flight_run is not None

    async def describe(self, gateway: Connection) -> Session:
        """Return the session as the gateway has it."""
        answer = await gateway.request("sessions.describe", {"key": self.reference.key})
        return answers.read(answer.get("session"), Session) or Session()

    def is_earlier(self, run: str) -> bool:
        """Say whether a run of this session is an earlier try's: the names of ours differ in their last part only."""
        return run not in self.runs and run.rpartition("-")[0] == self.runs[0].rpartition("-")[0]

    async def _take_over(self, gateway: Connection, active: str) -> None:
        """Take what runs in our session for our run: after a crash the gateway goes on with it under a new id."""
        if active in self.runs:
            return
        if not self._adopt:
            raise Interrupted("The gateway was restarted amid the run.")
        log.info("run %s goes on as %s", self.runs[-1], active)
        self.runs.append(active)
        await self.begin(gateway.boot)

    def _renewed(self, boot: str = "") -> dict[str, str]:
        """Bring the reference up to date, and return it as it is remembered; `boot` is of the gateway that has it."""
        reported = self.meter.reported
        self.reference = Reference(
            self.reference.key,
            self.reference.session,
            " ".join(self.runs),
            boot or self.reference.boot,
            reported.input_tokens,
            reported.output_tokens,
            reported.cost_usd,
            reported.turns,
        )
        return self.reference.remembered()
