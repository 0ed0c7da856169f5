"""The hops that throughput is compared with."""

from ipaddress import IPv4Address

import pytest

from bench.runs.hops import PAIR, ROUTED, far_end, hops
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.read.observe import observe
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import compare
from testbed.net.facts import Sysctl
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
