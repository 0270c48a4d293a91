"""Public ids and times: UUIDv7 strings and RFC 3339 UTC with milliseconds."""

import random
import time
from datetime import UTC, datetime
from functools import lru_cache

ID_LENGTH = 36  # characters
BRANCH_PREFIX = "stitcher/"  # of the branches that commits of jobs are published on

# Not the module-level generator, which another part of the program may seed. Ids are unique but not secret: knowing one
# never grants access.
_random = random.Random()  # noqa: S311 (see above)


def new_id() -> str:
    """Return a new UUIDv7: 48 bits of milliseconds, then 74 random bits (RFC 9562, 5.7)."""
    value = bytearray(now_ms().to_bytes(6, "big") + _random.randbytes(10))
    value[6] = 0x70 | value[6] & 0x0F
    value[8] = 0x80 | value[8] & 0x3F
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def short_id(job_id: str) -> str:
    """Return the short form of an id that is shown to people: its last eight characters."""
    return job_id[-8:]


def branch_name(job_id: str) -> str:
    """Return the name of the branch that a job's commit is published on."""
    return f"{BRANCH_PREFIX}{job_id[-12:]}"


def short_sha(sha: str) -> str:
    """Return the short form of a commit's sha that is shown to people."""
    return sha[:7]


def revision_name(rails_digest: str) -> str:
    """Return the short name of a revision of the rails that is shown to people; the digest alone identifies it."""
    return f"r-{rails_digest[:8]}"


def now_ms() -> int:
    """Return the current time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def format_timestamp(milliseconds: int) -> str:
    """Return a time in milliseconds since 1970 as RFC 3339 in UTC, with milliseconds."""
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(1024)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
