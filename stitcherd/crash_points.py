"""Points at which the daemon kills itself if its environment names one, so that tests can crash it exactly there.

`STITCHER_CRASHPOINT=NAME:N` ends the process with SIGKILL when it passes the point NAME for the N-th time. Nothing but
the environment of the start can arm a point; if none is, passing one is a comparison of two strings.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping

VARIABLE = "STITCHER_CRASHPOINT"
POINTS = {
    "before_commit": "the writes of a transaction were made, and are not committed",
    "after_commit": "a transaction is on disk, and nobody was told",
    "after_answer": "a webhook was answered",
    "after_claim": "a job was claimed",
    "before_start": "the start of an executor is recorded",
    "after_spawn": "a process of git, an agent or a gate was started",
    "before_publish": "a publication is recorded, and nothing was pushed",
    "after_publish": "a commit was pushed",
    "before_conclude": "a run has ended, and its outcome is not stored",
    "answer_taken": "an answer was taken from the outbox",
    "answer_sent": "the forge has responded to an answer",
    "answer_stored": "what became of an answer is stored",
}

log = logging.getLogger(__name__)

_armed = ""
_passages_left = 0


class UnknownCrashPoint(Exception):
    """The environment names no point of this module."""


def arm(environ: Mapping[str, str]) -> None:
    """Arm the point that an environment names, if it names one. Raises UnknownCrashPoint."""
    global _armed, _passages_left
    text = environ.get(VARIABLE)
    if text is None:
        return
    name, _, number = text.partition(":")
    if name not in POINTS or not number.isdecimal() or int(number) == 0:
        raise UnknownCrashPoint(f"{VARIABLE} must be NAME:N, with N from 1 and NAME one of {', '.join(POINTS)}")
    _armed, _passages_left = name, int(number)
    log.warning("%s: this daemon kills itself at %s, when %s", VARIABLE, text, POINTS[name])


def reach(name: str) -> None:
    """Pass a point: kill the process if it is the armed one and was passed often enough."""
    global _passages_left  # noqa: PLW0603 (see arm)
    if name != _armed:
        return
    _passages_left -= 1
    if _passages_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def reach_later(name: str) -> None:
    """Pass a point in the next iteration of the event loop: after what this one still does, such as sending."""
    if name == _armed:
        asyncio.get_running_loop().call_soon(reach, name)
