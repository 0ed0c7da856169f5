"""Facts that were read from kernels, with the reasons that the plan has for them.  Pure."""

from collections.abc import Iterable
from dataclasses import replace

from testbed.net.facts import Chain, ChainRule, Fact, Key, NftChain, State


def with_reasons(found: Iterable[Fact], plan: State) -> State:
    """The same facts; what the plan wants too says why, and so do the rules of changed chains."""
    known = {fact: fact for fact in plan}
    chains = {fact.key: fact for fact in plan if isinstance(fact, Chain | NftChain)}
    return frozenset(known.get(fact) or _chain(fact, chains) for fact in found)


def _chain(fact: Fact, chains: dict[Key, Chain | NftChain]) -> Fact:
    if not isinstance(fact, Chain | NftChain) or fact.key not in chains:
        return fact
    planned = chains[fact.key]
    reasons = {rule.text: rule.why for rule in planned.rules}
    rules = tuple(ChainRule(rule.text, reasons.get(rule.text, "")) for rule in fact.rules)
    return replace(fact, rules=rules, why=planned.why)
