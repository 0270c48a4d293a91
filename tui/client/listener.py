"""Requests to the daemon's public TCP listener: health, readiness and signed webhooks."""

import json
import socket
from http.client import HTTPConnection, HTTPException

WEBHOOK_PATH = "/stitcher/webhook"


def check_health(host: str, port: int, timeout: float) -> bool | None:
    """Return whether a stitcherd answers at an address; None if nothing does."""
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        return bool(json.loads(connection.getresponse().read(1000)) == {"status": "ok"})
    except (ConnectionRefusedError, socket.gaierror):
        return None
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()


def readiness_status(host: str, port: int, timeout: float) -> str:
    """Return the HTTP status of the readiness check, or why there was none."""
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", "/readyz")
        return str(connection.getresponse().status)
    except (OSError, HTTPException) as error:
        return str(error)
    finally:
        connection.close()


def post_webhook(
    host: str, port: int, source: str, body: bytes, headers: dict[str, str], timeout: float
) -> tuple[int, bytes]:
    """Deliver a webhook to a source; return the status and body of the response. Raises OSError, HTTPException."""
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("POST", f"{WEBHOOK_PATH}/{source}", body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
