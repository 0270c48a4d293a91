"""The supported kinds of webhook senders; a new one is one module and one entry of the table.

The settings, the API and the contract tests read the table.
"""

from collections.abc import Mapping
from types import MappingProxyType

from stitcherd.sources import gitea, github, gitlab, mosaic, standard
from stitcherd.sources.base import BadSignature, NotJson, Source, WrongShape

__all__ = ["KINDS", "SOURCES", "BadSignature", "NotJson", "Source", "WrongShape"]

SOURCES: Mapping[str, Source] = MappingProxyType(
    {module.SOURCE.kind: module.SOURCE for module in (gitea, github, gitlab, mosaic, standard)}
)
KINDS = tuple(SOURCES)
