"""A Classic ELB as a value: where there is one, what it is called, what its haproxy is told."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from pydantic import TypeAdapter, ValidationError

from testbed.allocations import allocate
from testbed.eks.model import EksCluster
from testbed.kubernetes.model import HealthCheck, Node, ServicePort
from testbed.lab import Lab, health, hostname
from testbed.lab.checks import problems, warnings
from testbed.net.facts import Address, Route
from testbed.plan import plan, programs
from testbed.services.load_balancers import balancers
from testbed.services.load_balancers.health import Health, Judged, Server, TargetState
from testbed.services.load_balancers.naming import balancer_name, dns_name
from testbed.vpc.model import RouteTable
from tests.services.load_balancers.classic import NODES, VPC, WEB, haproxy_cfg, lab


def test_each_zone_with_nodes_and_a_public_subnet_has_one_for_its_own_nodes() -> None:
    """Cross-zone balancing is off: kubernetes v1.14 leaves it as AWS has it."""
    found = [(one.netns, one.subnet.name, one.nodes) for one in balancers(VPC, NODES, (WEB,))]

    assert found == [
        ("elb-web-us-west-2a", "public-a", ("node-1", "node-3")),
        ("elb-web-us-west-2b", "public-b", ("node-2",)),
    ]


@pytest.mark.parametrize(
    ("healthy", "gone"),
    [
        ({"node-1", "node-2"}, set()),
        ({"node-3", "node-2"}, set()),
        ({"node-2"}, {"elb-web-us-west-2a"}),
        ({"node-1"}, {"elb-web-us-west-2b"}),
        (set(), set()),
    ],
)
def test_a_zone_without_healthy_targets_leaves_the_name_while_another_has_one(
    healthy: set[str], gone: set[str]
) -> None:
    described = lab(WEB)
    zones = {one.netns: one.nodes for one in balancers(VPC, NODES, (WEB,))}
    words: dict[bool, TargetState] = {True: "InService", False: "OutOfService"}

    found = health(
        described,
        lambda netns: {Server("80", node): words[node in healthy] for node in zones[netns]},
    )

    assert found == Health(left_out=frozenset(gone))
    name = hostname(described, described.clusters[0], WEB)
    allocations = allocate(described)
    told = {
        line.split(",")[1]
        for program in programs(described, allocations, found)
        for _, text in program.files
        for line in text.splitlines()
        if line.startswith(f"host-record={name},")
    }
    public = {str(eni.public_ip): eni.instance for eni in allocations.enis}
    assert {public[address] for address in told} == zones.keys() - gone


def test_each_service_has_its_own_zones() -> None:
    """A healthy zone of another Service's load balancer takes nobody's place."""
    described = lab(WEB, replace(WEB, name="api", ports=(ServicePort(80),)))
    dead = "elb-web-us-west-2a", "elb-web-us-west-2b", "elb-api-us-west-2b"

    well: Judged = {Server("80", "node-1"): "InService"}

    found = health(described, lambda netns: {} if netns in dead else well)

    assert found.left_out == {"elb-api-us-west-2b"}


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_no_other_type_of_service_has_one(kind) -> None:
    assert balancers(VPC, NODES, (replace(WEB, type=kind),)) == ()


def test_there_is_none_where_no_subnet_is_public() -> None:
    """Kubernetes: could not find any suitable subnets for creating the ELB."""
    assert balancers(replace(VPC, route_tables=()), NODES, (WEB,)) == ()
    assert balancers(replace(VPC, internet_gateway=False), NODES, (WEB,)) == ()


def test_its_network_interface_is_in_the_public_subnet_and_paired_with_a_public_address() -> None:
    enis = {eni.instance: eni for eni in allocate(lab(WEB)).enis}

    eni = enis["elb-web-us-west-2a"]
    assert (eni.subnet, eni.primary) == ("public-a", IPv4Address("10.0.101.4"))
    assert eni.public_ip is not None
    assert (eni.interface_type, eni.source_dest_check) == ("load_balancer", True)


def test_the_nodes_addresses_do_not_depend_on_it() -> None:
    with_one, without = allocate(lab(WEB)), allocate(lab())

    assert [eni for eni in with_one.enis if eni.instance.startswith("node-")] == list(without.enis)


def test_it_keeps_its_addresses() -> None:
    before = allocate(lab(WEB))

    shop = replace(WEB, name="shop", ports=(ServicePort(80),))
    after = allocate(lab(shop, WEB), before)

    assert set(before.enis) < set(after.enis)


def test_its_namespace_has_an_address_and_a_way_out() -> None:
    described = lab(WEB)
    state = plan(described, allocate(described))

    ns = "elb-web-us-west-2b"
    assert [str(f.ip) for f in state if isinstance(f, Address) and f.ns == ns] == ["10.0.102.4/24"]
    [route] = [fact for fact in state if isinstance(fact, Route) and fact.ns == ns]
    assert (route.dst, route.via) == (IPv4Network("0.0.0.0/0"), IPv4Address("10.0.102.1"))


def test_every_node_of_the_zone_is_a_target_on_its_node_port() -> None:
    """ELB -> NodePort 80:31787, with the timers of kubernetes v1.14's cloud provider."""
    assert haproxy_cfg(WEB) == (
        "global\n"
        "    nbthread 1\n"
        "    maxconn 4000\n"
        "    stats socket unix@stats mode 600\n"
        "defaults\n"
        "    mode tcp\n"
        "    balance roundrobin\n"
        "    option redispatch\n"
        "    timeout connect 5s\n"
        "    timeout client 60s\n"
        "    timeout server 60s\n"
        "    timeout check 5000ms\n"
        "    default-server inter 10000ms rise 2 fall 6\n"
        "listen 80\n"
        "    bind 10.0.101.4:80\n"
        "    server node-1 10.0.1.4:31787 check\n"
        "    server node-3 10.0.1.5:31787 check\n"
    )


def test_the_first_node_port_is_checked_for_all() -> None:
    """A Classic Load Balancer has one health check."""
    ports = (ServicePort(80, node_port=31787, name="http"), ServicePort(443, name="https"))

    text = haproxy_cfg(replace(WEB, ports=ports), "us-west-2b")

    assert "    server node-2 10.0.2.4:31787 check\n" in text
    assert "    server node-2 10.0.2.4:30000 track 80/node-2\n" in text


def test_the_health_check_is_set_in_the_topology() -> None:
    check = HealthCheck(interval_s=0.5, timeout_s=0.2, healthy_threshold=1, unhealthy_threshold=3)

    text = haproxy_cfg(replace(WEB, health_check=check))

    assert "    timeout check 200ms\n    default-server inter 500ms rise 1 fall 3\n" in text


def test_its_name_is_the_services_uid_and_its_dns_name_says_the_region() -> None:
    name = balancer_name("eks", WEB)

    assert len(name) == 32
    assert name[0] == "a"
    assert int(name[1:], 16) >= 0
    assert name != balancer_name("kops", WEB)
    assert name != balancer_name("eks", replace(WEB, namespace="shop"))
    left, _, right = dns_name("eks", WEB, "us-west-2").partition(".")
    assert left.removeprefix(f"{name}-").isdigit()
    assert right == "us-west-2.elb.amazonaws.com"


def test_a_node_or_pod_cannot_have_the_name_of_a_load_balancer() -> None:
    node = Node("elb-web-us-west-2a", "private-a", "t3.small")
    cluster = EksCluster("eks", "main", (*NODES, node), services=(WEB,))

    [problem] = problems(Lab("test", (VPC,), (cluster,)))

    assert "taken by clusters.eks.nodes.elb-web-us-west-2a" in problem.message
    assert problem.key == "clusters.eks.services.web"


def test_only_tcp_is_balanced() -> None:
    """kubernetes v1.14, aws.go: EnsureLoadBalancer."""
    ports = (ServicePort(53, protocol="UDP"),)

    [problem] = problems(lab(replace(WEB, ports=ports)))

    assert problem.message == "Protocol UDP not supported by LoadBalancer"


def test_where_no_zone_suits_one_the_user_is_told() -> None:
    """Kubernetes makes the Service all the same; its load balancer never comes."""
    nowhere = lab(WEB, vpc=replace(VPC, route_tables=(RouteTable("public"),)))

    assert list(problems(nowhere)) == []
    assert hostname(nowhere, nowhere.clusters[0], WEB) == ""
    [warning] = warnings(nowhere)
    assert warning.key == "clusters.eks.services.web"
    assert list(warnings(lab(WEB))) == []


@pytest.mark.parametrize(
    ("written", "seconds"), [("10s", 10.0), ("500ms", 0.5), ("2m", 120.0), (3, 3.0)]
)
def test_durations_are_written_with_their_unit(written: object, seconds: float) -> None:
    check = TypeAdapter(HealthCheck).validate_python({"interval": written})

    assert check.interval_s == seconds
    assert (
        TypeAdapter(HealthCheck).validate_json(TypeAdapter(HealthCheck).dump_json(check)) == check
    )


@pytest.mark.parametrize("written", ["10", "10 s", "s", "-1s", "1h", True, "0s", float("inf")])
def test_anything_else_is_no_duration(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(HealthCheck).validate_python({"interval": written})


def test_with_policy_local_nodes_are_asked_for_an_endpoint() -> None:
    """HTTP:healthCheckNodePort/healthz, in place of the node port."""
    service = replace(WEB, external_traffic_policy="Local", health_check_node_port=32000)

    text = haproxy_cfg(service)

    assert "    option httpchk GET /healthz\n" in text
    assert "    server node-1 10.0.1.4:31787 check port 32000\n" in text


def test_a_timeout_as_long_as_the_interval_is_refused() -> None:
    check = HealthCheck(interval_s=5, timeout_s=5)

    [problem] = problems(lab(replace(WEB, health_check=check)))

    assert problem.key == "clusters.eks.services.web.healthCheck.timeout"
