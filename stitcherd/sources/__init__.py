"""The kinds of senders, by the name of their kind in the settings."""

from collections.abc import Mapping
from types import MappingProxyType

from stitcherd.sources import github, mosaic
from stitcherd.sources.source import BadSignature, NotJson, Source, WrongShape

__all__ = ["SOURCES", "BadSignature", "NotJson", "Source", "WrongShape"]

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "github": github.SOURCE,
        "mosaic": mosaic.SOURCE,
    }
)
