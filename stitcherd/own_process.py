"""The daemon's own process: signals that stop it, what it may open, and what it does with memory."""

import asyncio
import ctypes
import gc
import logging
import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from stitcherd import processes

MAX_OPEN_FILES = 16_384
ACCEPT_LOG_SECONDS = 60.0
MEMORY_TRIM_SECONDS = 15.0  # a trim takes 1-2 ms
# Objects made before a collection of the youngest generation, and collections of each before one of the next. A request
# makes thousands that no cycle keeps, which Python's own 700 would have looked at several times.
GC_THRESHOLDS = (20_000, 20, 20)

log = logging.getLogger("stitcherd")


def handle_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; a second one ends the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: os._exit(1) if stop.is_set() else stop.set())
    return stop


def configure_process() -> None:
    """Prepare the process for children: reap their orphans, hide its memory and keys from them, allow many files."""
    quiet_accept_errors()
    start_threads()
    processes.become_subreaper()
    processes.set_not_dumpable()
    try:
        processes.join_new_session_keyring()
    except OSError as error:
        log.warning("jobs without a sandbox can read the session's keyring (keyctl: %s)", error.strerror)
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, processes.reap_orphans)
    # Connections of strangers must not use up the file descriptors that jobs need.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def quiet_accept_errors() -> None:
    """Log once a minute that no descriptor is left for a connection, where asyncio logs hundreds of tracebacks."""
    loop, logged_at = asyncio.get_running_loop(), -ACCEPT_LOG_SECONDS

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal logged_at
        if not str(context.get("message")).startswith("socket.accept() out of system resource"):
            loop.default_exception_handler(context)
        elif loop.time() - logged_at >= ACCEPT_LOG_SECONDS:
            logged_at = loop.time()
            log.error("no connection can be accepted: %s; trying again", context.get("exception"))

    loop.set_exception_handler(handle)


def start_threads() -> None:
    """Start the threads of `asyncio.to_thread` now: once memory is short, none could be started."""
    threads = min(32, (os.cpu_count() or 1) + 4)  # as many as there would be
    executor, started = ThreadPoolExecutor(threads, thread_name_prefix="worker"), Barrier(threads + 1)
    for _ in range(threads):
        executor.submit(started.wait)
    started.wait()
    asyncio.get_running_loop().set_default_executor(executor)


async def manage_memory() -> None:
    """Exclude what exists by now from garbage collection, and return freed memory periodically, for ever."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    await trim_memory()


async def trim_memory() -> None:
    """Return freed memory to the system periodically, for ever; do nothing if the C library cannot (musl).

    glibc keeps it: every read from a connection leaves holes in its heap.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while malloc_trim is not None:
        await asyncio.sleep(MEMORY_TRIM_SECONDS)
        malloc_trim(0)
