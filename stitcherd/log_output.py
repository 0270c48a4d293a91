"""The log on stderr: a line for each record, as text or as JSON.

A record may have `fields`: then its message names what happened, and the fields say to what.
"""

import logging
import os
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec

from shared.ids import format_timestamp

LogFormat = Literal["text", "json"]
FORMATS: tuple[LogFormat, ...] = ("text", "json")
# of syslog, as the journal reads them at the beginning of a line (sd-daemon(3))
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_PLAIN = re.compile(r"[!#-<>-~]+")  # visible ASCII without quotes and the sign of a field
_encode = msgspec.json.Encoder().encode


def configure_log(log_format: LogFormat, environ: Mapping[str, str] = os.environ) -> None:
    """Write the log to stderr in a format; for the journal, text has its priority in place of the time."""
    handler = logging.StreamHandler()
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    elif "JOURNAL_STREAM" in environ:
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(TextFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # No line shows these, and each record would look them up (docs.python.org/3/howto/logging.html#optimization).
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None  # noqa: SLF001 (documented there)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for library in ("huey", "watchfiles"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # strangers' malformed requests


class TextFormatter(logging.Formatter):
    """Writes the fields of a record behind its message, as `name=value`."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 (as its base)
        """Return the time of a record."""
        return f"{_format_second(int(record.created))},{int(record.msecs):03}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name of logging)
        """Return the line of a record."""
        line = super().formatMessage(record)
        fields = _fields(record)
        return f"{line} {' '.join(f'{name}={_value(value)}' for name, value in fields.items())}" if fields else line


class JournalFormatter(TextFormatter):
    """Begins each line with its priority, those of a traceback too: the journal takes each for a message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(f"{prefix}{line}" for line in super().format(record).split("\n"))


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: its time, level, logger and message, its fields, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        document: dict[str, Any] = {
            "time": format_timestamp(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return _encode(document).decode()


@lru_cache(maxsize=2)
def _format_second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, "fields", {})
    return fields


def _value(value: Any) -> str:
    """Return a value as it stands in a line: quoted if its end could not be seen."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else _encode(text).decode()
