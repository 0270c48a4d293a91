"""The public door, and what is to be entered at each sender."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException

from tui.doctor.finding import Finding, info, ok, problem, warning
from tui.doctor.written import Written
from tui.plain import plain

_PATIENCE = 5.0  # seconds
_PATH = "/stitcher/webhook"
_TUNNEL = "put a proxy or tunnel in front of it, and its name into http.hosts of stitcherd.toml"
_FORGES = {"github", "gitea", "gitlab"}


def public(written: Written, *, daemon_runs: bool) -> Iterator[Finding]:
    """Look whether the public door is answered by a daemon, or taken by somebody else."""
    name, shown = "public door", f"http://{plain(written.listen)}"
    host, _, port = written.listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        return  # stitcherd --check says what is wrong with it
    if port == "0":
        yield info(
            name, "the kernel chooses its port at each start: senders cannot know it", "write one in http.listen"
        )
        return
    answer = _answer(_near(host.strip("[]")), int(port))
    if answer is None and daemon_runs:
        remedy = "stitcherd was started with another http.listen, perhaps: start it again"
        yield problem(name, f"nobody answers at {shown}", remedy)
    elif answer is None:
        yield ok(name, f"{shown} is free")
    elif not answer or not daemon_runs:
        who = "something else answers" if not answer else "a stitcherd answers that has another socket"
        yield problem(name, f"{who} at {shown}", "end it, or choose another http.listen in stitcherd.toml")
    else:
        yield ok(name, f"{shown} answers")


def webhooks(written: Written) -> Iterator[Finding]:
    """Tell the URL for each source."""
    if not written.sources:
        yield warning("webhook", "no source: nobody may send", "add a [sources.NAME] to stitcherd.toml")
        return
    public_name = next((host for host in written.hosts if host not in {"localhost", "127.0.0.1", "::1"}), None)
    base = f"https://{plain(public_name)}" if public_name else f"http://{plain(written.listen)}"
    for name, kind in written.sources.items():
        own = kind == "mosaic" and list(written.sources.values()).count("mosaic") == 1
        url = f"{base}{_PATH}" if own else f"{base}{_PATH}/{plain(name)}"
        form = ", content type application/json" if kind == "github" else ""
        remedy = _TUNNEL if kind in _FORGES and public_name is None else None
        yield info("webhook", f"{plain(name)} ({plain(kind)}) → {url}{form}", remedy)


def _answer(host: str, port: int) -> bool | None:
    """Return whether what answers there is a stitcherd; None where nobody does."""
    connection = HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/healthz")
        return bool(json.loads(connection.getresponse().read(1000)) == {"status": "ok"})
    except (ConnectionRefusedError, socket.gaierror):
        return None
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _near(host: str) -> str:
    """Return the address at which a door that listens everywhere is reached from here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (where it listens is asked, not chosen)
