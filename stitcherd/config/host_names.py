"""Host names and addresses in the one form in which they are compared."""

import re
from ipaddress import IPv6Address, ip_address

_HEADER = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::[0-9]*)?")


def canonical_host(host: str) -> str:
    """Return a host in lower case without a dot at its end, an address in its shortest form and without brackets.

    An IPv4 address that is written as an IPv6 one (`::ffff:127.0.0.1`) is the IPv4 address.
    """
    bare = host.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    try:
        address = ip_address(bare)
    except ValueError:
        return bare
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def requested_host(header: str) -> str:
    """Return the canonical host of a Host header, without its port."""
    found = _HEADER.fullmatch(header.strip())
    return canonical_host(found[1] if found else header)


def is_loopback(host: str) -> bool:
    """Return whether a canonical host is this machine, whatever the resolver says."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
