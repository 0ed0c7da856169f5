"""The hops that throughput is compared with."""

from ipaddress import IPv4Address

import pytest

from bench.runs.hops import PAIR, ROUTED, far_end, hops, with_rules
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.read.observe import observe
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import compare
from testbed.net.facts import Chain, ChainRule, Sysctl
from testbed.probes.ping import ping


@pytest.mark.kernel
@pytest.mark.parametrize("way", [PAIR, ROUTED], ids=["pair", "routed"])
def test_what_is_sent_over_is_what_it_says(way: tuple[str, ...]) -> None:
    """The far end answers over just these links, with nothing else on the way."""
    with LocalStore() as store:
        wanted = frozenset(hops(way))
        apply(store, wanted)

        assert ping(store, way[0], IPv4Address(far_end(way)), timeout_s=10.0).received == 1
        sysctls = [fact for fact in wanted if isinstance(fact, Sysctl)]
        assert not compare(wanted, observe(store, sysctls=sysctls).state)


def test_both_nodes_on_the_way_have_the_rules_of_a_node() -> None:
    """What a real node's rules cost is no part of what the testbed adds."""
    chain = Chain(ns="node-0", table="nat", name="POSTROUTING", rules=(ChainRule("-j RETURN"),))
    other = Chain(ns="node-1", table="nat", name="POSTROUTING", rules=())

    added = {*with_rules(ROUTED, frozenset({chain, other}), "node-0")} - {*hops(ROUTED)}

    assert {(fact.ns, fact.rules) for fact in added if isinstance(fact, Chain)} == {
        ("left-node", chain.rules),
        ("right-node", chain.rules),
    }
