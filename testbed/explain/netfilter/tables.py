"""The tables of a namespace's rule sets: their chains, compiled when first walked, and sets."""

from collections.abc import Iterable

from testbed.explain.netfilter.chains import ANY_CHAIN, CompiledChain, compiled, rule_reads
from testbed.explain.netfilter.matching import Elements
from testbed.explain.netfilter.nft.words import element_of
from testbed.explain.routing.policy import Routing
from testbed.net.facts import Chain, Fact, NftChain, NftElement, NftSet

IPTABLES = "iptables"  # the family its tables go by here: a native nft table may have their names

TableName = tuple[str, str]


class RuleTable:
    """A table: what its rules find by name (state: what was compiled so far)."""

    def __init__(self, routing: Routing) -> None:
        self.facts: dict[str, Chain | NftChain] = {}
        self.sets: dict[str, NftSet] = {}
        self.contents: dict[str, list[NftElement]] = {}
        self._routing = routing
        self._chains: dict[str, CompiledChain] = {}
        self._elements: dict[str, Elements[NftElement]] = {}

    def chain(self, name: str) -> CompiledChain | None:
        """A chain; None where there is none of that name."""
        found = self._chains.get(name)
        if found is None and name in self.facts:
            found = self._chains[name] = compiled(self.facts[name], self)
        return found

    def reads(self, name: str) -> frozenset[str]:
        """The attributes of IPv4 packets that a chain's rules look at, and those it leads to."""
        found = set[str]()
        ahead, seen = [name], set[str]()
        while ahead:
            chain = self.chain(current := ahead.pop())
            if chain is None or current in seen:
                continue
            seen.add(current)
            for rule in chain.rules:
                fields, leads_on = rule_reads(rule)
                found |= fields
                ahead += self.facts if leads_on == ANY_CHAIN else [leads_on] if leads_on else []
        return frozenset(found)

    def elements(self, name: str) -> Elements[NftElement] | None:
        """A set or map; None where packets change it, or there is none."""
        if name not in self.sets or self.remembers(name):
            return None
        found = self._elements.get(name)
        if found is None:
            contents = self.contents.get(name, ())
            found = Elements((element_of(fact.element), fact) for fact in contents)
            self._elements[name] = found
        return found

    def remembers(self, name: str) -> bool:
        """Whether packets put their own addresses into a set."""
        return name in self.sets and "dynamic" in self.sets[name].flags

    def address_type(self, address: int, dev: str) -> str:
        """local, broadcast, unicast … in this namespace."""
        return self._routing.address_type(address, dev)


def rule_tables(facts: Iterable[Fact], routing: Routing) -> dict[TableName, RuleTable]:
    """The tables of one namespace, by family and name."""
    tables: dict[TableName, RuleTable] = {}

    def table(family: str, name: str) -> RuleTable:
        key = family, name
        if key not in tables:
            tables[key] = RuleTable(routing)
        return tables[key]

    for fact in facts:
        match fact:
            case Chain():
                table(IPTABLES, fact.table).facts[fact.name] = fact
            case NftChain():
                table(fact.family, fact.table).facts[fact.name] = fact
            case NftSet():
                table(fact.family, fact.table).sets[fact.name] = fact
            case NftElement():
                contents = table(fact.family, fact.table).contents
                contents.setdefault(fact.set, []).append(fact)
    return tables
