"""All facts of a lab, found by namespace."""

from collections.abc import Iterable

from testbed.explain.netfilter.conntrack import ROOM, Crowd
from testbed.explain.walk.facts.space import Space
from testbed.explain.walk.frames.links import Links
from testbed.explain.walk.visit.known import KnownVisits
from testbed.net.drift.diff import implied
from testbed.net.facts import Fact, State


class World:
    """The facts by namespace (state: that index, and what was derived so far).

    One prediction asks for hundreds of routes, rules and links, and a matrix makes thousands of
    predictions: each namespace is indexed when a packet first comes there, and never again.
    """

    def __init__(self, state: State) -> None:
        """state: complete, as observed: with the default rules and the connected routes."""
        self._facts: dict[str, list[Fact]] = {}
        known = self._facts
        for fact in state:
            if (ns := fact.ns) in known:
                known[ns].append(fact)
            else:
                known[ns] = [fact]
        self._spaces: dict[str, Space] = {}
        self.links = Links(self.space)
        self.visits = KnownVisits()

    @classmethod
    def planned(cls, plan: State) -> "World":
        """The world as it will be: a plan, and what the kernel adds by itself."""
        return cls(plan | implied(plan))

    def __contains__(self, ns: str) -> bool:
        return ns in self._facts

    def crowd(self, ns: str) -> Crowd:
        """How full a namespace's table of connections is; a plan has none yet."""
        return ROOM

    def space(self, ns: str) -> Space:
        """What is known of a namespace; nothing of one that is not there."""
        found = self._spaces.get(ns)
        if found is None:
            found = self._spaces[ns] = Space(ns, self.facts(ns))
        return found

    def facts(self, ns: str) -> Iterable[Fact]:
        """All facts of a namespace."""
        return self._facts.get(ns, ())
