"""What an ipamD that started again knows, and what becomes of pods then."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.allocations import Allocations, allocate, from_json, restarted, rolled_out, to_json
from testbed.eks.environment import CniSettings
from testbed.eks.ipamd.datastore.checkpoint import Entry, Recovery
from testbed.eks.ipamd.datastore.memory import Memory, started
from testbed.eks.model import EksCluster, Profile
from testbed.eks.wiring.snat import CHAIN
from testbed.kubernetes.model import Node, Pod
from testbed.lab import Lab
from testbed.net.facts import Chain, Route, Rule
from testbed.plan import plan
from testbed.vpc.model import Subnet, Vpc

RANGES = tuple(map(IPv4Network, ("10.0.0.0/16", "100.64.0.0/16")))
SUBNETS = (
    Subnet("a", IPv4Network("10.0.1.0/24"), "us-west-2a"),
    Subnet("b", IPv4Network("10.0.2.0/24"), "us-west-2b"),
)


def lab(*pods: str, profile: Profile = "current", ranges: int = 1) -> Lab:
    cluster = EksCluster(
        "eks",
        "main",
        (Node("n1", "a", "t3.small"),),
        tuple(Pod(name, node="n1") for name in pods),
        profile=profile,
    )
    return Lab("test", (Vpc("main", RANGES[:ranges], SUBNETS),), (cluster,))


def entries(found: Allocations, *pods: str) -> tuple[Entry, ...]:
    return tuple(
        Entry(one.pod, one.ip, 1, "default", one.pod) for one in found.pods if one.pod in pods
    )


def address(found: Allocations, pod: str) -> IPv4Address:
    return next(one.ip for one in found.pods if one.pod == pod)


def test_a_pod_that_is_not_in_the_checkpoint_shares_its_address_with_the_next() -> None:
    """#711: the last ADD has the node's route; answers to the first one go there too."""
    before = allocate(lab("old", "kept"))
    memory = started("n1", Recovery(kept=entries(before, "kept")), before.pods)
    assert memory == Memory("n1", forgotten=("old",))

    wanted = lab("old", "kept", "new")
    after = allocate(wanted, restarted(lab("old", "kept"), before, (memory,)))

    assert address(after, "new") == address(after, "old") == address(before, "old")
    assert address(after, "kept") == address(before, "kept")
    shared = IPv4Network(address(after, "new"))
    facts = plan(wanted, after)
    [route] = [
        one for one in facts if isinstance(one, Route) and (one.ns, one.dst) == ("n1", shared)
    ]
    assert "to new" in route.why
    assert len([one for one in facts if isinstance(one, Rule) and one.dst == shared]) == 1
    assert allocate(wanted, from_json(to_json(after))) == after, "it is remembered"


def test_it_is_forgotten_no_more_when_the_pod_is_gone() -> None:
    before = allocate(lab("old"))
    memory = started("n1", Recovery(), before.pods)
    after = allocate(lab("old", "new"), restarted(lab("old"), before, (memory,)))

    assert allocate(lab("new"), after).memories == ()


def test_an_address_of_nobody_is_given_to_nobody() -> None:
    """A DEL that never came: the address is lost until the file is mended."""
    before = allocate(lab())
    free = before.enis[0].secondary[0]
    leak = Entry("gone", free, 1)
    memory = started("n1", Recovery(kept=(leak,)), before.pods)

    after = allocate(lab("web"), restarted(lab(), before, (memory,)))

    assert memory.leaked == (leak,)
    assert address(after, "web") == before.enis[0].secondary[1]


@pytest.mark.parametrize(("profile", "seen"), [("slides", 1), ("current", 2)])
def test_v1_5_reads_the_vpc_s_ranges_once(profile: Profile, seen: int) -> None:
    """A new range is not the VPC's for it, new pods included, until it starts again."""
    before = allocate(lab("web", profile=profile))
    wider = lab("web", "late", profile=profile, ranges=2)
    after = allocate(wider, before)

    def exempt(found: Allocations) -> int:
        chains = [fact for fact in plan(wider, found) if isinstance(fact, Chain)]
        own = [fact for fact in chains if fact.ns == "n1" and fact.name.startswith(CHAIN)]
        return sum("-d 1" in rule.text for fact in own for rule in fact.rules)

    assert exempt(after) == seen
    assert exempt(restarted(wider, after, (Memory("n1"),))) == 2


def test_a_rollout_starts_it_again() -> None:
    """Other settings, as `testbed set` and `up` bring them; other pods are no reason."""
    before = lab("web", profile="slides")
    wider = lab("web", profile="slides", ranges=2)
    [cluster] = wider.clusters
    assert isinstance(cluster, EksCluster)
    marked = replace(wider, clusters=(replace(cluster, env=CniSettings(connmark=0x40)),))

    def ranges(after: Lab) -> int:
        found = allocate(after, rolled_out(before, after, allocate(before)))
        return len(found.memories[0].cidrs)

    assert (ranges(wider), ranges(marked)) == (1, 2)
