"""The table `[store]`: where jobs, deliveries and events are kept."""

import re
from typing import Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, model_validator

from stitcherd.config.errors import invalid_value, missing_key
from stitcherd.config.secrets import ConnectionString
from stitcherd.config.types import Lease, Table

_SECRET_OPTIONS = ("password", "sslpassword")
_PASSWORD = re.compile(rf"\b(?:{'|'.join(_SECRET_OPTIONS)})\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))")


class StoreSettings(Table):
    """`[store]`: a SQLite file in the state directory, or a PostgreSQL database."""

    kind: Literal["sqlite", "postgres"] = Field("sqlite", description="where jobs, deliveries and events are kept")
    dsn: ConnectionString | None = Field(
        None, repr=False, description="of `postgres`: the connection string of a database of its own"
    )
    lease: Lease = Field(
        15.0, description="of `postgres`: how long a daemon or worker may be silent before others take up its jobs"
    )

    @model_validator(mode="after")
    def _require_keys_of_kind(self) -> Self:
        if self.kind == "postgres" and self.dsn is None:
            raise missing_key("dsn")
        if self.kind == "sqlite" and self.dsn is not None:
            raise invalid_value("kind sqlite has no dsn", ("dsn",))
        if self.kind == "sqlite" and "lease" in self.model_fields_set:
            raise invalid_value("kind sqlite has no lease: one daemon uses the file", ("lease",))
        return self

    @property
    def is_shared(self) -> bool:
        """Whether several daemons and workers may use the store."""
        return self.kind == "postgres"

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """The connection string, and the passwords in it."""
        if self.dsn is None:
            return ()
        return tuple(each.encode() for each in (self.dsn, *_passwords(self.dsn)) if each)


def _passwords(dsn: str) -> list[str]:
    """Return the passwords of a connection string, of the server and of the key of a certificate."""
    if "://" in dsn:
        parts = urlsplit(dsn)
        options = parse_qs(parts.query.replace("+", "%2B"))  # PostgreSQL takes a plus for itself
        return [unquote(parts.password or ""), *(each for name in _SECRET_OPTIONS for each in options.get(name, ()))]
    return [re.sub(r"\\(.)", r"\1", quoted or plain) for quoted, plain in _PASSWORD.findall(dsn)]
