"""The supported kinds of forges; a new one is one module and one entry of the table.

The settings and the tests read the table. Gitea's is also that of Forgejo.
"""

from collections.abc import Mapping
from types import MappingProxyType

from stitcherd.forges import gitea, github, gitlab
from stitcherd.forges.base import Forge

__all__ = ["FORGES", "Forge"]

FORGES: Mapping[str, Forge] = MappingProxyType({module.FORGE.kind: module.FORGE for module in (gitea, github, gitlab)})
