"""The kinds of senders, by the name of their kind in the settings."""

from collections.abc import Mapping
from types import MappingProxyType

from stitcherd.sources import gitea, github, gitlab, mosaic
from stitcherd.sources.base import BadSignature, NotJson, Source, WrongShape

__all__ = ["SOURCES", "BadSignature", "NotJson", "Source", "WrongShape"]

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "gitea": gitea.SOURCE,
        "github": github.SOURCE,
        "gitlab": gitlab.SOURCE,
        "mosaic": mosaic.SOURCE,
        "standard": mosaic.STANDARD,
    }
)
