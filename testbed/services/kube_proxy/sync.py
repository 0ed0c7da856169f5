"""What kube-proxy and kubelet write again when they look after their rules: theirs, and no others.

kubernetes v1.30, pkg/proxy/iptables/proxier.go, syncProxyRules: its own chains are written whole,
its jumps into others' chains are put in front where they are missing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from testbed.net.facts import Chain, ChainRule, Key, State

OWN = "KUBE-"  # how the names of their chains begin


def synced(planned: Iterable[Chain], found: State) -> State:
    """A node's rule set after the next sync.

    planned: the node's chains as they were written first.  found: all that is there now.
    """
    here = {fact.key: fact for fact in found if isinstance(fact, Chain)}
    wanted = {chain.key: chain for chain in _wanted(planned, here)}
    return frozenset(wanted.get(fact.key, fact) for fact in found) | frozenset(wanted.values())


def _wanted(planned: Iterable[Chain], here: dict[Key, Chain]) -> Iterator[Chain]:
    for chain in planned:
        if chain.name.startswith(OWN):
            yield chain
        elif jumps := tuple(rule for rule in chain.rules if f"-j {OWN}" in rule.text):
            there = here.get(chain.key) or replace(chain, rules=(), policy="")
            yield replace(there, rules=(*_missing(jumps, there), *there.rules))


def _missing(jumps: Iterable[ChainRule], there: Chain) -> Iterator[ChainRule]:
    texts = {rule.text for rule in there.rules}
    return (jump for jump in jumps if jump.text not in texts)
