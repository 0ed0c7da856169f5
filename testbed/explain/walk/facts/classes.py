"""Addresses that a namespace cannot tell apart: what its facts say of one, they say of the other.

Were two such addresses exchanged in all facts, the facts would be the same.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from testbed.net.facts import Fact, Neighbour, NftElement, Route

Range = tuple[int, int]  # first and last

_ADDRESS = r"\d+\.\d+\.\d+\.\d+"
_WRITTEN = re.compile(rf"({_ADDRESS})(?:/(\d+(?:\.\d+){{0,3}})|-({_ADDRESS}))?")
_MASKED = re.compile(r"[sd]addr &")  # bits of an address that are no prefix
# What kernels themselves treat in another way: net/ipv4/route.c, linux/in.h
KERNELS_OWN = "0.0.0.0/8 127.0.0.0/8 224.0.0.0/4 240.0.0.0/4 255.255.255.255"


class AddressClasses(dict[int, int]):
    """The number of an address' class among one namespace's facts, for each that was asked for.

    Addresses with equal numbers are treated alike there.
    """

    def __init__(self, facts: Iterable[Fact]) -> None:
        super().__init__()
        roles: dict[str, set[str]] = {}
        texts = [KERNELS_OWN]
        for fact in facts:
            text, subject = repr(fact), _subject(fact)
            if subject:
                text = text.replace(subject, "", 1)
                roles.setdefault(subject, set()).add(text)
            texts.append(text)
        written = "\n".join(texts)
        self._are_single = _MASKED.search(written) is not None
        self._begins, self._classes = _classes(set(_ranges(written)))
        self._roles = {int(IPv4Address(host)): frozenset(said) for host, said in roles.items()}
        self._numbers: dict[tuple[int, frozenset[str]], int] = {}

    def __missing__(self, address: int) -> int:
        if self._are_single:
            return address
        ranges = self._classes[bisect_right(self._begins, address)]
        key = ranges, self._roles.get(address, frozenset())
        found = self[address] = self._numbers.setdefault(key, len(self._numbers))
        return found


def _subject(fact: Fact) -> str:
    """The one host of which a fact tells something that it may tell of others too; else empty."""
    match fact:
        case Route(dst=IPv4Network(prefixlen=32) as host):
            return str(host.network_address)
        case Neighbour(ip=IPv4Address() as host):
            return str(host)
        case NftElement():
            written = _WRITTEN.findall(fact.element)
            return written[0][0] if len(written) == 1 and not any(written[0][1:]) else ""
    return ""


def _ranges(text: str) -> Iterator[Range]:
    """The first and the last address of each host, network and range as they are written."""
    for match in _WRITTEN.finditer(text):
        host, mask, last = match.groups()
        first = int(IPv4Address(host))
        yield first, first
        if mask:
            network = IPv4Network(f"{host}/{mask}", strict=False)
            broadcast = int(network.broadcast_address)
            yield int(network.network_address), broadcast
            yield broadcast, broadcast
        elif last:
            yield first, int(IPv4Address(last))


def _classes(ranges: Iterable[Range]) -> tuple[list[int], list[int]]:
    """Where classes begin, and the class before each and behind the last.

    Two addresses are of one class that are in the same ranges, wherever they lie.
    """
    changes: dict[int, set[Range]] = {}
    for one in ranges:
        for place in (one[0], one[1] + 1):
            changes.setdefault(place, set()).add(one)
    inside: frozenset[Range] = frozenset()
    numbers = {inside: 0}
    begins, found = sorted(changes), [0]
    for place in begins:
        inside ^= changes[place]
        found.append(numbers.setdefault(inside, len(numbers)))
    return begins, found
