"""Checks of whom to tell: that each command is there, and that something answers at each URL. Nothing is sent."""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from shared.checks import CheckResult, info, problem
from tui.cli.doctor.machine import program_result
from tui.cli.doctor.settings import SettingsSummary
from tui.text.plain import plain

_SECONDS = 5.0  # for a connection, with its handshake
_PORTS = {"http": 80, "https": 443}


def check_notify(settings: SettingsSummary) -> Iterator[CheckResult]:
    """Check each entry of [[notify]], by its number."""
    for number, table in settings.notify.items():
        name, run, url = f"notify {number}", table.get("run"), table.get("url")
        if isinstance(run, list) and run:
            yield program_result(name, str(run[0]), f"run of [[notify]] {number}")
        elif isinstance(url, str):
            yield _connection_result(name, url)


def _connection_result(name: str, url: str) -> CheckResult:
    """Connect as a webhook would; only the host is shown, since the rest of a URL may be a secret."""
    host = ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        shown = plain(f"{host}:{port}")
        with socket.create_connection((host, port), _SECONDS) as connection:
            if parts.scheme == "https":
                ssl.create_default_context().wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        reason = f"the certificate of {plain(host)} is not accepted: {plain(error.verify_message)}"
        return problem(name, reason, "the receiver needs a certificate for this name that this machine trusts")
    except socket.gaierror:
        return problem(
            name, f"there is no host {plain(host)}", "correct its name in the url, or the DNS of this machine"
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return problem(
            name, f"nothing answers at {plain(host)}: {plain(reason)}", "start the receiver, or correct the url"
        )
    return info(name, f"something answers at {shown}; it was not sent anything")
