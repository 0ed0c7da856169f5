"""Which ranges a VPC may have: their sizes, and which go together."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

LARGEST, SMALLEST = 16, 28  # prefix lengths, of VPCs and subnets alike
TEN = IPv4Network("10.0.0.0/8")
TWELVE = IPv4Network("172.16.0.0/12")
SIXTEEN = IPv4Network("192.168.0.0/16")
BENCHMARK = IPv4Network("198.19.0.0/16")
DEFAULT_VPC = IPv4Network("172.31.0.0/16")
TEN_ZERO = IPv4Network("10.0.0.0/16")
TEN_ZERO_AND_ONE = IPv4Network("10.0.0.0/15")
SHARED = IPv4Network("100.64.0.0/10")  # RFC 6598
PRIVATE = (TEN, TWELVE, SIXTEEN)  # RFC 1918

NEVER = (  # this host, loopback, link-local, multicast
    IPv4Network("0.0.0.0/8"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("169.254.0.0/16"),
    IPv4Network("224.0.0.0/4"),
)
# VPC User Guide, "VPC CIDR blocks", association restrictions: beside a first range inside the key.
RESTRICTED = {
    TEN: (TWELVE, SIXTEEN, BENCHMARK),
    TWELVE: (TEN, SIXTEEN, BENCHMARK, DEFAULT_VPC),
    SIXTEEN: (TEN, TWELVE, BENCHMARK),
    BENCHMARK: PRIVATE,
}
BESIDE_ANY_OTHER = (*PRIVATE, BENCHMARK)  # beside a public range, or one of 100.64.0.0/10


def fits(cidr: IPv4Network) -> bool:
    """Whether the range has a size AWS gives to VPCs and subnets: /16 to /28."""
    return LARGEST <= cidr.prefixlen <= SMALLEST


def restricted(cidr: IPv4Network, before: tuple[IPv4Network, ...]) -> bool:
    """Whether AWS refuses the range to a VPC that has the ranges `before`."""
    return any(cidr.overlaps(block) for block in _restrictions(before))


def _restrictions(before: tuple[IPv4Network, ...]) -> Iterator[IPv4Network]:
    """The blocks closed to a VPC with these ranges; the first range decides, but for one rule."""
    families = (blocks for family, blocks in RESTRICTED.items() if before[0].subnet_of(family))
    yield from next(families, BESIDE_ANY_OTHER)
    if any(cidr.subnet_of(TEN_ZERO_AND_ONE) for cidr in before):
        yield TEN_ZERO


def widest(networks: Iterable[IPv4Network]) -> list[IPv4Network]:
    """The ranges that are inside no other: nft's sets of intervals take none that overlap."""
    found = sorted(frozenset(networks))
    return [
        one for one in found if not any(one.subnet_of(other) for other in found if other != one)
    ]
