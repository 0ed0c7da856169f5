"""A routing table: longest prefix, then lowest metric (Linux net/ipv4/fib_trie.c)."""

from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter

from testbed.net.facts import LOCAL, Route

ALL_ONES = 0xFFFFFFFF


class Table:
    """A routing table by prefix length (state: the index)."""

    def __init__(self, routes: Iterable[Route]) -> None:
        lengths: dict[int, dict[int, list[Route]]] = {}
        for route in routes:
            networks = lengths.setdefault(route.dst.prefixlen, {})
            networks.setdefault(int(route.dst.network_address), []).append(route)
        for networks in lengths.values():
            for same in networks.values():
                same.sort(key=attrgetter("metric"))
                same[0] = _unless_ambiguous(same)
        self._lengths = [
            (length, ALL_ONES ^ (ALL_ONES >> length), lengths[length])
            for length in sorted(lengths, reverse=True)
        ]

    def find(self, destination: int) -> Route | None:
        """The route with the longest prefix; of several the one with the lowest metric."""
        for _, mask, networks in self._lengths:
            same = networks.get(destination & mask)
            if same is not None:
                return same[0]
        return None


def _unless_ambiguous(same: list[Route]) -> Route:
    """The first of the routes to one network; the order of equal ones is in no fact.

    Table local is filled in the order in which addresses are written.
    """
    first, *others = same
    if first.table == LOCAL:
        return first
    if any((other.metric, other.table) == (first.metric, first.table) for other in others):
        return replace(first, kind="one of several equal ones")
    return first
