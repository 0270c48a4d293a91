"""The tables `[http]` and `[[tokens]]`: the HTTP API on TCP, and who may use it."""

from typing import Literal

from pydantic import Field

from stitcherd.config import types
from stitcherd.config.types import Table

Permission = Literal[
    "jobs:read", "jobs:write", "jobs:dispatch", "jobs:approve", "deliveries:read", "rails:read", "metrics:read"
]


class HttpSettings(Table):
    """`[http]`: the HTTP API on TCP."""

    listen: types.Listen = Field(
        types.ListenAddress("127.0.0.1", 8466), description="the address for webhooks, and for the API with a token"
    )
    hosts: tuple[types.HostName, ...] = Field(
        (), description="host names besides loopback that requests may have: those of a proxy or tunnel"
    )
    max_body: types.Size = Field(2**20, description="a larger body is refused with 413")

    @property
    def host(self) -> str:
        """The IP address, without brackets, or localhost."""
        return self.listen.host

    @property
    def port(self) -> int:
        """The TCP port; 0 lets the kernel choose."""
        return self.listen.port


class TokenSettings(Table):
    """`[[tokens]]`: a token for the API over TCP."""

    name: types.SingleWord = Field(description="its name, which events show as `token:NAME`")
    sha256: types.Sha256 = Field(description="the SHA-256 of the token in hexadecimal digits, not the token")
    workspace: types.SingleWord = Field("default", description="the tenant whose jobs and deliveries it reaches")
    permissions: frozenset[Permission] = Field(description="what it may do")
