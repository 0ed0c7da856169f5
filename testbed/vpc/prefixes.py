"""IPv4 prefixes of ENIs: a /28, aligned, that takes the place of one secondary address.

Source: EC2 User Guide, "Prefix delegation for Amazon EC2 network interfaces".
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

PREFIX_LENGTH = 28
PREFIX_SIZE = 16  # addresses


def addresses_of(prefixes: Iterable[IPv4Network]) -> tuple[IPv4Address, ...]:
    """All addresses of the prefixes: each belongs to the ENI, the first and the last too."""
    return tuple(address for prefix in prefixes for address in prefix)
