"""What the logs of a node say of what its ipamD did: each decision, and each pod's wiring."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from pydantic import TypeAdapter

from testbed.allocations import Allocations, allocate
from testbed.eks.environment import CniSettings
from testbed.eks.logs.events import Event
from testbed.eks.logs.line import ERROR, Line
from testbed.eks.logs.story import deleted, logs, started
from testbed.eks.model import EksCluster, Profile
from testbed.kubernetes.model import Node, Pod
from testbed.lab import Lab
from testbed.vpc.model import Subnet, Vpc

IPAMD, PLUGIN = "/var/log/aws-routed-eni/ipamd.log", "/var/log/aws-routed-eni/plugin.log"


def lab(pods: int, profile: Profile = "current", subnet: str = "10.0.1.0/24", **env: str) -> Lab:
    vpc = Vpc("main", (IPv4Network("10.0.0.0/16"),), (Subnet("a", IPv4Network(subnet), "z1"),))
    settings = TypeAdapter(CniSettings).validate_python(env)
    web = tuple(Pod(f"web-{i}") for i in range(pods))
    node = Node("n1", "a", "t3.small")
    return Lab(
        "test", (vpc,), (EksCluster("eks", "main", (node,), web, profile=profile, env=settings),)
    )


def told(
    of: Lab, before: Lab | None = None, earlier: Allocations | None = None
) -> dict[str, list[Line]]:
    """The lines of the node's logs by their paths, for the change from one lab to another."""
    events: list[Event] = []
    found = allocate(of, earlier, events.append)
    [cluster] = of.clusters
    was = before.clusters[0] if before else None
    assert isinstance(cluster, EksCluster)
    assert was is None or isinstance(was, EksCluster)
    first: list[Event] = []
    if was and earlier:
        first += deleted(was, earlier.pods, found.pods)
    first += started(was, cluster)
    written = logs(cluster, of.vpcs[0], found.enis, [*first, *events])
    return {log.place.path: list(log.lines) for log in written}


def messages(lines: list[Line]) -> str:
    return "\n".join(line.message for line in lines)


def test_a_new_node_tells_of_its_start_its_pool_and_its_pods() -> None:
    """A t3.small: three addresses, the first pod attaches the warm ENI."""
    said = messages(told(lab(1))[IPAMD])

    assert said.startswith("Constructed new logger instance\n")
    in_order = [
        "Starting L-IPAMD v1.23.1  ...",
        "IP pool is too low for Network Card 0: available (0) < ENI target (1) * addrsPerENI (3)",
        "Allocated 3 private IP addresses",
        "Added ENI(eni-",
        "Received AddNetwork for NS /run/netns/web-0, Sandbox ",
        "Assign IP 10.0.1.5 to sandbox aws-cni/",
        "available (2) < ENI target (1)",
        "Successfully created and attached a new ENI eni-",
        "Total IPs/Prefixes = 6/0, AssignedIPs/CooldownIPs: 1/0, c.maxIPsPerENI = 3",
        "Setting up network for an ENI with IP address 10.0.1.",
    ]
    places = [said.index(one) for one in in_order]
    assert places == sorted(places)


def test_the_plugin_tells_of_routes_and_rules_and_of_rule_1536_for_eth1_only() -> None:
    said = messages(told(lab(4))[PLUGIN])

    assert said.count("Received CNI add request: ContainerID(") == 4
    assert said.count("Successfully setup toContainer rule, containerAddr=10.0.1.") == 4
    assert said.count("Successfully setup fromContainer rule") == 1
    assert "rtTable=2" in said
    assert "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;" in said
    assert '"vethPrefix":"eni","mtu":"9001"' in said


def test_a_pod_that_goes_is_unassigned_and_its_rules_are_deleted() -> None:
    before = lab(4)
    earlier = allocate(before)
    gone = earlier.pods[-1]

    said = told(lab(3), before, earlier)

    assert f"Unassign IP {gone.ip} from sandbox aws-cni/" in messages(said[IPAMD])
    assert f"IP {gone.ip} entering cooldown period of 30s" in messages(said[IPAMD])
    assert "Starting L-IPAMD" not in messages(said[IPAMD]), "the daemon runs on"
    wired = messages(said[PLUGIN])
    assert "Received CNI del request" in wired
    assert (
        f"Successfully deleted fromContainer rule, containerAddr={gone.ip}/32, rtTable=2" in wired
    )


@pytest.mark.parametrize(
    ("seconds", "words"), [("0", "0s"), ("60", "1m0s"), ("90", "1m30s"), ("3601", "1h0m1s")]
)
def test_a_cooldown_is_told_as_go_prints_durations(seconds: str, words: str) -> None:
    before, after = (lab(pods, IP_COOLDOWN_PERIOD=seconds) for pods in (1, 0))

    said = told(after, before, allocate(before))

    assert f"entering cooldown period of {words}\n" in messages(said[IPAMD])


def test_an_empty_subnet_is_an_error_in_both_logs_in_aws_words() -> None:
    """A /28 has eleven addresses; the node's first ENI takes four of them."""
    said = told(lab(11, subnet="10.0.1.0/28"))

    errors = messages([line for line in said[IPAMD] if line.level == ERROR])
    assert "InsufficientFreeAddressesInSubnet" in errors
    assert "Consider using new subnet or carve a reserved range" in errors
    assert "DataStore has no available IP/Prefix addresses" in errors
    failed = [line.message for line in said[PLUGIN] if line.level == ERROR]
    assert failed
    assert failed[0].startswith("Failed to assign an IP address to container ")


def test_prefixes_and_what_goes_back_are_told() -> None:
    said = messages(told(lab(2, ENABLE_PREFIX_DELEGATION="true"))[IPAMD])
    assert "Allocated 1 private IP prefixes" in said
    assert "Adding 10.0.1.16/28 to DS for eni-" in said
    assert "Prefix pool stats for network card 0: Total IPs/Prefixes = 16/1" in said

    before = lab(1)
    said = messages(told(lab(1, WARM_IP_TARGET="1"), before, allocate(before))[IPAMD])
    assert "Trying to unassign the following IPs [10.0.1." in said
    assert "Starting L-IPAMD" in said, "other settings roll aws-node out"


def test_v1_5_says_it_in_its_own_words() -> None:
    said = told(lab(4, "slides"))

    ipamd = messages(said[IPAMD])
    assert "Starting L-IPAMD v1.5.7  ..." in ipamd
    assert "AssignPodIPv4Address: Assign IP 10.0.1." in ipamd
    assert "Send AddNetworkReply: IPv4Addr 10.0.1." in ipamd
    assert ", DeviceNumber: 0, err: <nil>" in ipamd
    wired = messages(said[PLUGIN])
    assert wired.count("Added toContainer rule for 10.0.1.") == 4
    assert "external-SNAT: false, vpcCIDR: [10.0.0.0/16]" in wired
    assert wired.count("Successfully added pod rule[") == 1
    told_of_external = messages(
        told(lab(4, "slides", AWS_VPC_K8S_CNI_EXTERNALSNAT="true"))[PLUGIN]
    )
    assert told_of_external.count("Added rule priority 1536 from 10.0.1.") == 1


@pytest.mark.parametrize("profile", ["slides", "current"])
def test_every_kind_of_event_has_words_in_both_eras(profile: Profile) -> None:
    """Growing to all ENIs of the type and back to one pod: every decision comes once."""
    grown, small = lab(9, profile), lab(1, profile, WARM_IP_TARGET="1")

    said = told(small, grown, allocate(grown))

    assert "Trying to unassign the following IPs" in messages(said[IPAMD])
    assert "Trying to free ENI: eni-" in messages(said[IPAMD])
    assert all(line.message for lines in said.values() for line in lines)


def test_other_nodes_and_pods_on_fargate_leave_no_trace() -> None:
    of = lab(1)
    [cluster] = of.clusters
    assert isinstance(cluster, EksCluster)
    found = allocate(of)

    alone = [replace(found.pods[0], node=found.pods[0].pod)]

    assert list(deleted(cluster, alone, ())) == []
    assert list(started(cluster, cluster)) == []
