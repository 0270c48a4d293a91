"""The table `[store]`: where jobs, deliveries and events are kept."""

import re
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, model_validator

from stitcherd.config.errors import invalid_value, missing_key
from stitcherd.config.secrets import ConnectionString
from stitcherd.config.types import Table

_PASSWORD = re.compile(r"\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))")


class StoreSettings(Table):
    """`[store]`: a SQLite file in the state directory, or a PostgreSQL database."""

    kind: Literal["sqlite", "postgres"] = "sqlite"
    dsn: ConnectionString | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _require_keys_of_kind(self) -> Self:
        if self.kind == "postgres" and self.dsn is None:
            raise missing_key("dsn")
        if self.kind == "sqlite" and self.dsn is not None:
            raise invalid_value("kind sqlite has no dsn", ("dsn",))
        return self

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """The connection string, and the password in it."""
        if self.dsn is None:
            return ()
        return tuple(each.encode() for each in (self.dsn, _password(self.dsn)) if each)


def _password(dsn: str) -> str | None:
    if "://" in dsn:
        password = urlsplit(dsn).password
        return None if password is None else unquote(password)
    found = _PASSWORD.search(dsn)
    return None if found is None else re.sub(r"\\(.)", r"\1", found[1] or found[2])
