"""The supported kinds of webhook senders.

To add one, write a module here that defines `SOURCE`, and add its name to `KINDS`: the settings, the API and
the contract tests read the table.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType

from stitcherd.sources.base import BadSignature, NotJson, Source, WrongShape

__all__ = ["KINDS", "SOURCES", "BadSignature", "NotJson", "Source", "WrongShape"]

KINDS = ("gitea", "github", "gitlab", "mosaic", "standard")  # each is a module of this package


def load_sources(kinds: Iterable[str]) -> Mapping[str, Source]:
    """Return the source that each module of this package defines, by kind."""
    return MappingProxyType({kind: import_module(f"{__name__}.{kind}").SOURCE for kind in kinds})


SOURCES = load_sources(KINDS)
