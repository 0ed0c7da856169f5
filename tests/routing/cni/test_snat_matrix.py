"""What leaves by which ENI with which address, for every setting of SNAT, then and now.

The rows of the CNI's SNAT matrix, each on the running lab of the row before: what an earlier
setting left behind must be gone.  Each row has its control: pod-1, whose ENI is eth0, needs none
of the rules that pod-2 needs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.eks.model import ConnmarkBackend, Profile
from testbed.net.facts import Rule
from testbed.net.served import metadata
from tests.routing.cni.conftest import EXCLUDED, NODE_PORT, OUTSIDE, Explain, cni_lab

pytestmark = pytest.mark.kernel

NODE, ETH0 = "node-1", "10.10.0.10"
EXCLUSION = {"AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "198.51.100.0/24"}
EXTERNAL = {"AWS_VPC_K8S_CNI_EXTERNALSNAT": "true"}


@dataclass(frozen=True)
class Row:
    """A setting, the rules 1024 and up of pod-2's node, and how pod-2's packets leave it.

    PODS is pod-2's own address.  outside, excluded: the device and source address towards each.
    """

    profile: Profile
    rules: list[str]
    outside: tuple[str, str]
    excluded: tuple[str, str]
    backend: ConnmarkBackend = "iptables"
    env: dict[str, Any] = field(default_factory=dict)


TRANSLATED, OWN = ("eth0", ETH0), ("eth1", "POD")
MARKED, ONE = "1024: from all fwmark 0x80/0x80 lookup main", "1536: from POD lookup 2"
PER_CIDR = "1536: from POD to 10.10.0.0/16 lookup 2"
OF_EXCLUDED = "1536: from POD to 198.51.100.0/24 lookup 2"
ENI = "32765: from ENI lookup 2"

MATRIX = {
    "v1.5": Row("slides", [MARKED, PER_CIDR], TRANSLATED, TRANSLATED),
    "v1.6, excluded": Row(
        "slides", [MARKED, PER_CIDR, OF_EXCLUDED], TRANSLATED, OWN, env=EXCLUSION
    ),
    "v1.5, external": Row("slides", [MARKED, ONE], OWN, OWN, env=EXTERNAL),
    "v1.6, external and excluded": Row(
        "slides", [MARKED, ONE], OWN, OWN, env=EXTERNAL | EXCLUSION
    ),
    "today": Row("current", [MARKED, ONE, ENI], TRANSLATED, TRANSLATED),
    "today, excluded": Row("current", [MARKED, ONE, ENI], TRANSLATED, OWN, env=EXCLUSION),
    "today by nftables": Row(
        "current", [MARKED, ONE, ENI], TRANSLATED, TRANSLATED, backend="nftables"
    ),
    "today by nftables, excluded": Row(
        "current", [MARKED, ONE, ENI], TRANSLATED, OWN, backend="nftables", env=EXCLUSION
    ),
    "today, external": Row("current", [MARKED, ONE, ENI], OWN, OWN, env=EXTERNAL),
    "today, external, by nftables": Row(
        "current", [MARKED, ONE, ENI], OWN, OWN, backend="nftables", env=EXTERNAL
    ),
    "today, without node ports": Row(
        "current",
        [MARKED, ONE, ENI],
        TRANSLATED,
        TRANSLATED,
        env={"AWS_VPC_CNI_NODE_PORT_SUPPORT": "false"},
    ),
    "today, external, without node ports": Row(
        "current",
        [ONE, ENI],
        OWN,
        OWN,
        env=EXTERNAL | {"AWS_VPC_CNI_NODE_PORT_SUPPORT": "false"},
    ),
}
ROWS = pytest.mark.parametrize("row", MATRIX.values(), ids=MATRIX)
# one for each way in which rule 1536 and the marks are written
SHAPES = ["v1.5", "v1.6, excluded", "v1.5, external", "today", "today by nftables"]
SHAPES += ["today, external", "today, without node ports"]
OF_EACH_SHAPE = pytest.mark.parametrize("row", [MATRIX[name] for name in SHAPES], ids=SHAPES)


def rules(bed: Bed) -> list[str]:
    """`ip rule` of the node, without the kernel's own and rules 512."""
    lines = [" ".join(line.split()) for line in bed.run(NODE, "ip", "rule").stdout.splitlines()]
    return [line for line in lines if 512 < int(line.split(":")[0]) < 32766]


def filled(bed: Bed, words: Any) -> Any:
    """The row's words with the lab's addresses."""
    [eth1] = [eni for eni in bed.allocations.enis if (eni.instance, eni.device_index) == (NODE, 1)]
    return type(words)(
        word.replace("POD", str(bed.pod("pod-2").ip)).replace("ENI", str(eth1.primary))
        for word in words
    )


@contextmanager
def without(bed: Bed, priority: int) -> Iterator[None]:
    """The node without its rules of a priority for pod-2, or for marks."""
    pod = IPv4Network(bed.pod("pod-2").ip)
    gone = [
        fact
        for fact in bed.state
        if isinstance(fact, Rule)
        and (fact.ns, fact.priority) == (NODE, priority)
        and (fact.src == pod or fact.fwmark)
    ]
    assert gone, "premise: there are some"
    with bed.without(*gone):
        yield
    assert not bed.drift()


@ROWS
def test_pod_2_leaves_by_the_eni_and_with_the_address_of_the_setting(
    bed: Bed, explain: Explain, row: Row
) -> None:
    """The lab was another row's before; its rules are this one's, and what they do is seen."""
    bed.up(cni_lab(row.profile, row.backend, **row.env))

    assert rules(bed) == filled(bed, row.rules)
    for destination, leaves in ((OUTSIDE, row.outside), (EXCLUDED, row.excluded)):
        seen = explain("pod-2", destination)
        assert seen.delivered
        assert seen.left(NODE) == filled(bed, leaves)
        assert seen.difference is None, "the prediction says the same"
        path = bed.path("pod-2", destination)
        assert (path.delivered, path.hops[1].dev) == (True, seen.left(NODE)[0])
    control = explain("pod-1", OUTSIDE)
    assert control.delivered
    assert control.left(NODE)[0] == "eth0"
    assert not bed.drift()


@OF_EACH_SHAPE
def test_in_the_vpc_pod_2_is_itself_and_needs_rule_1536(
    bed: Bed, explain: Explain, row: Row
) -> None:
    """Without it the packet leaves by eth0, which may not send an address of eth1."""
    bed.up(cni_lab(row.profile, row.backend, **row.env))

    seen = explain("pod-2", "pod-3")
    assert seen.delivered
    assert seen.left(NODE) == ("eth1", str(bed.pod("pod-2").ip))
    assert seen.difference is None
    with without(bed, 1536):
        dead = explain("pod-2", "pod-3")
        assert dead.cause == ("vpc-main", "ENI_SOURCE_DEST_CHECK_RESTRICTION")
        assert dead.visit(NODE).dev_out == "eth0"
        assert dead.difference is None
        assert explain("pod-1", "pod-3").delivered, "control: a pod of eth0"


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
@pytest.mark.parametrize("mark", ["0x1", "0xffffffff"])
def test_any_mark_there_can_be_is_read_back_as_it_was_written(
    bed: Bed, explain: Explain, backend: ConnmarkBackend, mark: str
) -> None:
    """The largest is its own mask, which ip and nft then do not print."""
    bed.up(cni_lab("current", backend, AWS_VPC_K8S_CNI_CONNMARK=mark))

    assert not bed.drift()
    seen = explain("pod-2", OUTSIDE)
    assert seen.delivered
    assert seen.left(NODE) == TRANSLATED
    assert seen.difference is None


@OF_EACH_SHAPE
def test_pod_2_asks_for_metadata_by_the_way_of_what_is_outside(
    bed: Bed, explain: Explain, row: Row
) -> None:
    """169.254.169.254 is in no range of the VPC: the node asks, or with external SNAT the pod."""
    bed.up(cni_lab(row.profile, row.backend, **row.env))

    seen = explain("pod-2", str(metadata.ADDRESS))

    assert seen.left(NODE) == filled(bed, row.outside)
    assert seen.difference is None
    assert explain("pod-1", str(metadata.ADDRESS)).left(NODE)[0] == "eth0", "control"


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
def test_today_what_is_translated_needs_rule_1024(
    bed: Bed, explain: Explain, backend: ConnmarkBackend
) -> None:
    """Without it eth1 sends eth0's address.  v1.5 needs none: no rule 1536 leads outside."""
    bed.up(cni_lab("current", backend))

    with without(bed, 1024):
        dead = explain("pod-2", OUTSIDE)
        assert dead.cause == ("vpc-main", "ENI_SOURCE_DEST_CHECK_RESTRICTION")
        assert dead.left(NODE) == ("eth1", ETH0)
        assert dead.difference is None
        assert explain("pod-1", OUTSIDE).delivered, "control: a pod of eth0"

    bed.up(cni_lab("slides"))
    with without(bed, 1024):
        assert explain("pod-2", OUTSIDE).delivered


@OF_EACH_SHAPE
def test_a_node_port_is_answered_by_eth0(bed: Bed, explain: Explain, row: Row) -> None:
    """Clients inside and outside the VPC, wherever the setting supports node ports."""
    bed.up(cni_lab(row.profile, row.backend, public=True, **row.env))
    supported = row.env.get("AWS_VPC_CNI_NODE_PORT_SUPPORT") != "false"

    for client in ("internet", "node-2"):
        seen = explain(client, NODE, NODE_PORT)
        assert seen.observed.there.end.delivered
        assert seen.difference is None
        if supported:
            assert seen.delivered
            assert seen.observed.back is not None
            assert {one.dev_out for one in seen.observed.back.visits if one.ns == NODE} == {"eth0"}


def test_a_rollout_with_another_prefix_and_mtu_rewires_every_pod(
    bed: Bed, explain: Explain
) -> None:
    """Links, marks and rules go by the new prefix; what pods say still leaves by eth0."""
    bed.up(cni_lab())
    bed.up(cni_lab(AWS_VPC_K8S_CNI_VETHPREFIX="pod", POD_MTU="1400"))

    links = bed.run(NODE, "ip", "-o", "link", "show", "type", "veth").stdout
    assert " pod" in links
    assert " mtu 1400 " in links
    assert " eni" not in links
    assert explain("pod-2", OUTSIDE).left(NODE) == TRANSLATED
    assert bed.http("pod-3", "pod-2").delivered, "its server has survived the new link"
    assert not bed.drift()
