"""What a namespace's rules and tables decide, as its kernel would: the first rule, longest prefix.

Sources: Linux net/ipv4/fib_rules.c (rules in order of priority; `throw` goes on to the next one),
fib_trie.c (longest prefix, then lowest metric; blackhole, unreachable and prohibit end the
search), fib_frontend.c (table local follows from addresses).
"""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Network
from operator import attrgetter

from testbed.explain.routing.decision import NONE, Decision, decided, unknown
from testbed.explain.routing.local_table import local_routes
from testbed.explain.routing.table import ALL_ONES, Table
from testbed.net.drift.diff import DEFAULT_RULES
from testbed.net.drift.order import writing_order
from testbed.net.facts import (
    ANYWHERE,
    DEFAULT_TABLE,
    LOCAL,
    MAIN,
    Address,
    Foreign,
    IpNetwork,
    Route,
    Rule,
)

LOOPBACK = "lo"  # ip-rule(8): what a namespace sends itself has iif lo


class Routing:
    """The rules and tables of one namespace (state: indexes, and every answer given so far).

    A prediction of all pairs asks the same few thousand questions again and again.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        routes: Iterable[Route],
        addresses: Iterable[Address],
        *,
        foreign: Iterable[Foreign] = (),
        down: frozenset[str] = frozenset(),
    ) -> None:
        """down: devices that are not up; their routes are gone, their addresses are not."""
        foreign = tuple(foreign)
        self._rules = _ordered(rules)
        self._sources = [_number(rule.src) for rule in self._rules]
        self._destinations = [_number(rule.dst) for rule in self._rules]
        self._strange_rules = sorted(_priority(one) for one in foreign if one.kind == "rule")
        self._strange_routes = [
            _place(one) for one in foreign if one.kind == "route" and ":" not in one.text
        ]
        by_table: dict[int, list[Route]] = {LOCAL: list(local_routes(addresses, down))}
        for route in routes:
            if route.dst.version == 4 and route.dev not in down:
                by_table.setdefault(route.table, []).append(route)
        self.has_own_rules = bool(self._strange_rules) or not _are_default(self._rules)
        if not self.has_own_rules:
            # until the first rule is added, local is a part of main: fib_trie.c, fib_trie_unmerge
            by_table[MAIN] = sorted(
                [*by_table.pop(LOCAL), *by_table.get(MAIN, ())],
                key=lambda route: -route.table,
            )
        self._local = LOCAL if self.has_own_rules else MAIN
        self._tables = {number: Table(found) for number, found in by_table.items()}
        self._main = self._tables.get(MAIN) or Table(())
        self._by_source: dict[int, frozenset[int]] = {}
        self._by_destination: dict[int, frozenset[int]] = {}
        self._classes: dict[frozenset[int], frozenset[int]] = {}
        self._decisions: dict[tuple[int, int, str, int], Decision] = {}
        self._devices = frozenset(rule.iif for rule in self._rules if rule.iif)
        self._ends: dict[tuple[int, int, int], Decision] = {}
        self._plain: dict[int, Decision] = {}  # by route, where the rules are the kernel's own

    def decide(self, source: int, destination: int, iif: str = "", mark: int = 0) -> Decision:
        """Where a packet goes.  source: 0 for none yet.  iif: empty for what is sent here."""
        if not self.has_own_rules:
            return self._without_rules(destination)
        sources = self._by_source.get(source) or self._rules_from(source)
        device = iif or LOOPBACK
        if device not in self._devices:
            device = ""
        key = id(sources), destination, device, mark
        found = self._decisions.get(key)
        if found is None:
            found = self._walk(sources, destination, device, mark)
            self._decisions[key] = found
        return found

    def address_type(self, address: int, dev: str = "") -> str:
        """`local`, `broadcast` or `unicast`, as `addrtype` and `fib` have it; of a device."""
        if address in (0, ALL_ONES):
            return "broadcast"
        if address >> 28 == 0xE:
            return "multicast"
        table = self._tables.get(self._local)
        route = table.find(address) if table else None
        if route is None or route.table != LOCAL or (dev and route.dev != dev):
            return "unicast"
        return route.kind

    def _rules_from(self, source: int) -> frozenset[int]:
        """The places of the rules that take a source; equal sets are one object."""
        places = _containing(self._sources, source)
        found = self._by_source[source] = self._classes.setdefault(places, places)
        return found

    def _rules_to(self, destination: int) -> frozenset[int]:
        found = self._by_destination.get(destination)
        if found is None:
            found = _containing(self._destinations, destination)
            self._by_destination[destination] = found
        return found

    def _walk(self, sources: frozenset[int], destination: int, iif: str, mark: int) -> Decision:
        """Rule by rule until a table has a route that ends the search."""
        strange = self._strange_rules[0] if self._strange_rules else None
        passed: Route | None = None
        for place in sorted(sources & self._rules_to(destination)):
            rule = self._rules[place]
            if (rule.iif and rule.iif != iif) or (mark ^ rule.fwmark) & rule.fwmask:
                continue
            if strange is not None and rule.priority >= strange:
                return unknown(f"a rule of priority {strange} that no fact describes")
            route = self._find(rule.table, destination)
            if self._strange_routes and self._is_doubtful(rule.table, destination, route):
                return unknown(f"a route of table {rule.table} that no fact describes")
            if route is not None and route.kind != "throw":
                return self._decision(place, route, passed)
            passed = route or passed
        return unknown("rules that no fact describes") if strange is not None else NONE

    def _find(self, table: int, destination: int) -> Route | None:
        known = self._tables.get(table)
        return known.find(destination) if known else None

    def _is_doubtful(self, table: int, destination: int, found: Route | None) -> bool:
        """Whether a route that no fact describes may come before the one that was found."""
        length = found.dst.prefixlen if found else 0
        return any(
            strange == table and prefixlen >= length and _contains(network, prefixlen, destination)
            for strange, network, prefixlen in self._strange_routes
        )

    def _without_rules(self, destination: int) -> Decision:
        """Only the kernel's own three rules: main with local in it, then default."""
        route = self._main.find(destination)
        if route is not None and (known := self._plain.get(id(route))) is not None:
            return known
        for table in (MAIN, DEFAULT_TABLE):
            route = self._find(table, destination)
            if self._is_doubtful(table, destination, route):
                return unknown(f"a route of table {table} that no fact describes")
            if route is not None and route.kind != "throw":
                places = (i for i, rule in enumerate(self._rules) if rule.table == route.table)
                found = self._decision(next(places), route)
                if not self._strange_routes and table == MAIN:
                    self._plain[id(route)] = found
                return found
        return NONE

    def _decision(self, place: int, route: Route, passed: Route | None = None) -> Decision:
        """One for each rule and route, however many packets take them.

        passed: the last route of type throw that was met before.
        """
        key = place, id(route), id(passed)
        found = self._ends.get(key)
        if found is None:
            found = self._ends[key] = decided(self._rules[place], route, passed)
        return found


def _ordered(rules: Iterable[Rule]) -> list[Rule]:
    """The rules of IPv4 by priority; equal ones in the order in which they are written."""
    ipv4 = [rule for rule in rules if rule.src.version == rule.dst.version == 4]
    written: list[Rule] = [fact for fact in writing_order(ipv4) if isinstance(fact, Rule)]
    return sorted(written, key=attrgetter("priority"))


def _are_default(rules: Collection[Rule]) -> bool:
    """Whether these are the rules that a namespace begins with, and no other."""
    there = sorted((rule.priority, rule.table) for rule in rules if _takes_all(rule))
    return there == sorted(DEFAULT_RULES) and len(rules) == len(DEFAULT_RULES)


def _takes_all(rule: Rule) -> bool:
    selects = rule.src != ANYWHERE or rule.dst != ANYWHERE or rule.iif
    return not (selects or rule.fwmark or rule.fwmask)


def _contains(network: int, length: int, address: int) -> bool:
    return not length or (address ^ network) >> (32 - length) == 0


def _containing(networks: list[tuple[int, int]], address: int) -> frozenset[int]:
    """The places of the networks that an address is in."""
    return frozenset(
        place
        for place, (network, length) in enumerate(networks)
        if not length or (address ^ network) >> (32 - length) == 0
    )


def _number(network: IpNetwork) -> tuple[int, int]:
    return int(network.network_address), network.prefixlen


def _priority(foreign: Foreign) -> int:
    """`1000: lookup ipproto` begins with it."""
    number = foreign.text.partition(":")[0]
    return int(number) if number.isdigit() else 0


def _place(foreign: Foreign) -> tuple[int, int, int]:
    """Table, network and prefix length: `10.0.0.0/8 table 254 multipath` names them."""
    words = foreign.text.split()
    network = IPv4Network(words[0])
    return int(words[words.index("table") + 1]), int(network.network_address), network.prefixlen
