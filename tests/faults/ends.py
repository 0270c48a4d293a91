"""Ends of the daemon at random moments, at named points, and by signals; each is followed by a start."""

import random
import signal
import subprocess
import time
from functools import partial

from stitcherd.crash_points import POINTS, VARIABLE
from tests.e2e.harness import DaemonHarness
from tests.faults import whole_jobs
from tests.faults.under_load import LIFE_SECONDS, Options, Row, under_load

KILLED_AT_START = 0.25  # share of the daemons that are killed while they start
POINT_SECONDS = 20.0  # until an armed daemon must have passed its point
PASSAGES = {"before_commit": 150, "after_commit": 150, "after_answer": 100}  # at most, before the one that kills
PASSAGES_OTHERWISE = 25
OF_ALL_JOBS = [each for each in POINTS if each not in whole_jobs.POINTS]
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def kill(life: float, daemon: DaemonHarness, chance: random.Random) -> int:
    if chance.random() > KILLED_AT_START:
        daemon.await_ready()
    time.sleep(chance.uniform(0, life))
    daemon.kill()
    daemon.spawn()
    return 1


def kills(options: Options) -> list[Row]:
    return [under_load("kill -9", partial(kill, options.life), options.kills, options)]


def crash_points(options: Options) -> list[Row]:
    return [under_load(f"crash {each}", partial(crash_at, each), options.times(20), options) for each in OF_ALL_JOBS]


def crash_at_each_point(options: Options) -> list[Row]:
    """Crash at one point after the other under the same load, once at each."""
    points = iter(OF_ALL_JOBS)
    return [under_load("crash", lambda *given: crash_at(next(points), *given), len(OF_ALL_JOBS), options)]


def crash_at(point: str, daemon: DaemonHarness, chance: random.Random) -> int:
    """Start a daemon that is to crash at a point, wait for that, and start one that is not."""
    daemon.kill()
    number = chance.randint(1, PASSAGES.get(point, PASSAGES_OTHERWISE))
    crashed = daemon.spawn(("env", f"{VARIABLE}={point}:{number}"))
    code = crashed.wait(POINT_SECONDS)
    assert code == -signal.SIGKILL, f"the daemon ended with {code} instead of at {point}:\n{daemon.log_tail()}"
    daemon.spawn()
    if chance.random() < 0.5:
        daemon.await_ready()
    return 1


def signals(options: Options) -> list[Row]:
    return [under_load("TERM, INT, HUP", send_signals, options.times(30), options)]


def send_signals(daemon: DaemonHarness, chance: random.Random) -> int:
    """Send one signal or two at any moment of a life; where they ended the daemon, start it again."""
    if chance.random() > KILLED_AT_START:
        daemon.await_ready()
    process = daemon.process
    assert process is not None
    first, second = chance.choices(SIGNALS, k=2)
    time.sleep(chance.uniform(0, LIFE_SECONDS))
    process.send_signal(first)
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(second)
    if signal.SIGHUP in {first, second}:
        time.sleep(0.1)
    try:
        process.wait(0.0 if first is signal.SIGHUP else POINT_SECONDS)
    except subprocess.TimeoutExpired:
        if first is not signal.SIGHUP:
            raise
        process.kill()
        process.wait()
    daemon.spawn()
    return 1
