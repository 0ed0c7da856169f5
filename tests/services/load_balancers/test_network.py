"""A Network Load Balancer as a value: where it is, whom it sends to, what its targets see."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.eks.model import EksCluster
from testbed.errors import AwsError
from testbed.kubernetes.endpoint_slices import EndpointAddress, EndpointPort, EndpointSlice
from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.load_balancers.annotations import PREFIX, load_balancer
from testbed.kubernetes.model import HealthCheck, Node, Pod, Service, ServicePort
from testbed.kubernetes.scheduler.terms import Taint
from testbed.lab import Lab, health
from testbed.lab.checks import problems
from testbed.load import load
from testbed.net.facts import NftChain, NftElement, Route, Rule
from testbed.plan import plan, programs, vpcs
from testbed.services.load_balancers import balancers
from testbed.services.load_balancers.health import ALL_WELL, Health, Judged, Server, health_check
from testbed.services.load_balancers.naming import dns_name
from testbed.services.load_balancers.node_selection import (
    EXCLUDED,
    EXCLUDED_ALPHA,
    LEAVING,
    MASTER,
)
from testbed.vpc.fabric.metadata import identifier
from testbed.vpc.model import RouteEntry, RouteTable, Subnet, Vpc
from testbed.vpc.security.model import GroupRule, Range, SecurityGroup

NODES = (Node("node-1", "private-a", "t3.small"), Node("node-2", "private-b", "t3.small"))
VPC = Vpc(
    "main",
    (IPv4Network("10.0.0.0/16"),),
    (
        Subnet("public-a", IPv4Network("10.0.101.0/24"), "us-west-2a", "public"),
        Subnet("public-b", IPv4Network("10.0.102.0/24"), "us-west-2b", "public"),
        Subnet("private-a", IPv4Network("10.0.1.0/24"), "us-west-2a"),
        Subnet("private-b", IPv4Network("10.0.2.0/24"), "us-west-2b"),
    ),
    (RouteTable("public", (RouteEntry(IPv4Network("0.0.0.0/0"), "internet-gateway"),)),),
)
PODS = (
    Pod("web-0", node="node-1", labels={"app": "web"}),
    Pod("web-1", node="node-1", labels={"app": "web"}),
    Pod("web-2", node="node-2", labels={"app": "web"}),
)
HTTP = ServicePort(80, node_port=31787)
ZONE_A, ZONE_B = "nlb-web-us-west-2a", "nlb-web-us-west-2b"
BITS = 0xFFF8  # of the router's packet marks: which load balancer an answer goes back to
PRESERVE = "preserve_client_ip.enabled"


def service(*ports: ServicePort, **annotations: str) -> Service:
    """A Service with annotations, dashes written as underscores; `type: nlb` unless said."""
    wanted = {"type": "nlb", **annotations}
    names = {f"{PREFIX}{name.replace('_', '-')}": text for name, text in wanted.items()}
    return Service("web", {"app": "web"}, ports or (HTTP,), type="LoadBalancer", annotations=names)


def lab(web: Service, vpc: Vpc = VPC) -> Lab:
    return Lab("test", (vpc,), (EksCluster("eks", "main", NODES, PODS, services=(web,)),))


def chain(web: Service, name: str, zone: str = ZONE_A, well: Health = ALL_WELL) -> list[str]:
    """The rules of a load balancer's chain."""
    described = lab(web)
    [found] = [
        fact
        for fact in plan(described, allocate(described), well)
        if isinstance(fact, NftChain) and (fact.ns, fact.name) == (zone, name)
    ]
    return [rule.text for rule in found.rules]


def targets(web: Service, zone: str = ZONE_A, well: Health = ALL_WELL) -> list[str]:
    """Whom the listeners of a zone choose among."""
    rules = chain(web, "listeners", zone, well)
    return [
        part.partition(" ")[0].rstrip(",") for rule in rules for part in rule.split("goto ")[1:]
    ]


def checks(web: Service, zone: str = ZONE_A) -> str:
    """What the zone's health checker is told."""
    described = lab(web)
    [text] = [
        dict(program.files)["haproxy.cfg"]
        for program in programs(described, allocate(described))
        if program.netns == zone
    ]
    return text


def test_each_zone_sends_to_its_own_nodes_by_a_hash_of_the_flow() -> None:
    """Instance targets, cross-zone balancing off; the five parts but the rule's own two."""
    assert chain(service(), "listeners") == [
        "ip daddr 10.0.101.4 tcp dport 80 jhash ip saddr . tcp sport mod 1 seed 0x1"
        " vmap { 0 : goto tcp-80/node-1 }"
    ]
    assert chain(service(), "tcp-80/node-1") == ["meta l4proto tcp dnat to 10.0.1.4:31787"]
    assert targets(service(), ZONE_B) == ["tcp-80/node-2"]


@pytest.mark.parametrize(
    "how",
    [
        {"cross_zone_load_balancing_enabled": "true"},
        {"attributes": "load_balancing.cross_zone.enabled=true"},
    ],
)
def test_cross_zone_balancing_takes_every_node(how: dict[str, str]) -> None:
    assert targets(service(**how)) == ["tcp-80/node-1", "tcp-80/node-2"]


def test_pods_are_targets_in_their_own_zone() -> None:
    """`nlb-ip` of old, and `external` with its target type; no node port has a part in it."""
    old = service(type="nlb-ip", scheme="internet-facing")
    new = service(type="external", nlb_target_type="ip", scheme="internet-facing")

    assert targets(old) == targets(new) == ["tcp-80/web-0", "tcp-80/web-1"]
    assert targets(new, ZONE_B) == ["tcp-80/web-2"]
    assert chain(new, "tcp-80/web-0") == ["meta l4proto tcp dnat to 10.0.1.5:80"]


def test_addresses_that_were_written_are_targets_too_everywhere_if_outside() -> None:
    """A registered address beyond the VPC's subnets is in every zone."""
    written = EndpointSlice(
        "web-1",
        "web",
        (
            EndpointAddress(IPv4Address("10.0.2.77"), pod="a\nglobal"),
            EndpointAddress(IPv4Address("192.168.0.9")),
        ),
        (EndpointPort(8080),),
    )
    web = replace(service(type="nlb-ip", scheme="internet-facing"), selector={})
    cluster = EksCluster("eks", "main", NODES, PODS, services=(web,), endpoint_slices=(written,))
    described = Lab("test", (VPC,), (cluster,))
    state = plan(described, allocate(described))

    chains = {(one.ns, one.name) for one in state if isinstance(one, NftChain)}

    assert (ZONE_A, "tcp-80/192.168.0.9") in chains
    assert (ZONE_A, "tcp-80/10.0.2.77") not in chains
    assert {(ZONE_B, "tcp-80/192.168.0.9"), (ZONE_B, "tcp-80/10.0.2.77")} <= chains


def test_a_chain_has_a_name_that_nft_takes() -> None:
    """128 characters; a pod's name and its namespace have 63 each."""
    pod = Pod("p" * 63, namespace="n" * 63, node="node-1", labels={"app": "web"})
    web = replace(service(type="nlb-ip"), namespace=pod.namespace, name="web")
    cluster = EksCluster("eks", "main", NODES, (pod,), services=(web,))
    described = Lab("test", (VPC,), (cluster,))

    state = plan(described, allocate(described))

    assert max(len(one.name) for one in state if isinstance(one, NftChain)) <= 128


@pytest.mark.parametrize(
    ("annotations", "protocol", "preserved"),
    [
        ({}, "TCP", True),
        ({"target_group_attributes": f"{PRESERVE}=false"}, "TCP", False),
        ({"type": "nlb-ip"}, "TCP", False),
        ({"type": "nlb-ip", "target_group_attributes": f"{PRESERVE}=true"}, "TCP", True),
        ({"type": "nlb-ip"}, "UDP", True),
        ({"type": "external"}, "TCP", True),
    ],
)
def test_whether_targets_see_the_client(
    annotations: dict[str, str], protocol: str, preserved: bool
) -> None:
    """On for instances and for UDP, off for addresses with TCP, unless the attribute says so."""
    assert load_balancer(service(**annotations)).preserves(protocol) is preserved


def test_without_preservation_targets_see_the_load_balancer() -> None:
    hidden = service(target_group_attributes=f"{PRESERVE}=false")

    assert chain(service(), "clients") == []
    assert chain(hidden, "clients") == [
        "ct status dnat meta l4proto tcp snat to 10.0.101.4:1024-65535"
    ]


def test_the_router_brings_answers_back_to_the_load_balancer_that_forwarded() -> None:
    """Its network interface may send what is not its own: the source check is off."""
    described = lab(service())
    allocations = allocate(described)
    state = plan(described, allocations)
    [eni] = [eni for eni in allocations.enis if eni.instance == ZONE_A]

    assert (eni.interface_type, eni.source_dest_check) == ("network_load_balancer", False)
    [way] = [fact for fact in state if isinstance(fact, Route) and fact.via == eni.primary]
    [rule] = [fact for fact in state if isinstance(fact, Rule) and fact.table == way.table]
    [marks] = [fact for fact in state if isinstance(fact, NftChain) and fact.name == "balanced"]
    assert rule.fwmark
    texts, mark = [one.text for one in marks.rules], f"0x{rule.fwmark:08x}"
    assert f"ct state new ether saddr {eni.mac} ct mark set ct mark | {mark}" in texts
    assert any(text.endswith(f"meta mark set meta mark | {mark}") for text in texts)


def test_another_load_balancer_changes_no_number_of_one_that_is_there() -> None:
    """Connections that the router tracks carry it."""
    one = lab(service())
    [cluster] = one.clusters
    more = replace(service(), name="more", ports=(ServicePort(81),))
    both = replace(one, clusters=(replace(cluster, services=(more, *cluster.services)),))

    rules = [
        {
            fact
            for fact in plan(each, allocate(each))
            if isinstance(fact, Rule) and fact.priority == 40
        }
        for each in (one, both)
    ]

    assert len(rules[0]) == 2
    assert rules[0] < rules[1]


def ill(zone: str, *names: str) -> Health:
    """The health of a lab in which these targets of a zone are unhealthy."""
    return Health(unhealthy=frozenset((zone, Server("tcp-80", name)) for name in names))


def test_flows_go_to_healthy_targets_and_to_all_where_none_is() -> None:
    """Fail open (Network Load Balancers, "Target group health")."""
    web = service(cross_zone_load_balancing_enabled="true")

    assert targets(web, well=ill(ZONE_A, "node-1")) == ["tcp-80/node-2"]
    assert targets(web, well=ill(ZONE_A, "node-1", "node-2")) == ["tcp-80/node-1", "tcp-80/node-2"]
    assert targets(web, well=ill(ZONE_B, "node-1")) == ["tcp-80/node-1", "tcp-80/node-2"]


def test_a_zone_leaves_the_name_when_one_listener_has_no_healthy_target() -> None:
    web = service(HTTP, ServicePort(443, node_port=31788, name="tls"))
    http, tls = Server("tcp-80", "node"), Server("tcp-443", "node")
    judged: dict[str, Judged] = {
        ZONE_A: {http: "InService", tls: "OutOfService"},
        ZONE_B: {http: "InService", tls: "InService"},
    }

    found = health(lab(web), judged.__getitem__)

    assert found == Health(frozenset({ZONE_A}), frozenset({(ZONE_A, tls)}))


def test_its_health_check_has_its_own_numbers() -> None:
    """10 s / 30 s / 3 / 3, where a Classic one has 5 s / 10 s / 2 / 6."""
    check = health_check(service())

    assert (check.interval_s, check.timeout_s) == (30, 10)
    assert (check.healthy_threshold, check.unhealthy_threshold) == (3, 3)
    text = checks(service())
    assert "    timeout check 10000ms\n    default-server inter 30000ms rise 3 fall 3\n" in text
    assert "backend tcp-80\n    server node-1 10.0.1.4:31787 check port 31787\n" in text


def test_with_policy_local_nodes_are_asked_for_an_endpoint() -> None:
    web = replace(service(), external_traffic_policy="Local", health_check_node_port=32000)

    text = checks(web)

    assert "    option httpchk GET /healthz\n" in text
    assert "    server node-1 10.0.1.4:31787 check port 32000\n" in text


def test_annotations_say_how_targets_are_checked() -> None:
    web = service(healthcheck_protocol="HTTP", healthcheck_port="8080", healthcheck_path="/up")

    assert "option httpchk GET /up\n" in checks(web)
    assert "check port 8080\n" in checks(web)


def test_what_has_no_target_or_no_listener_is_dropped_with_its_reason() -> None:
    """Silence: a Network Load Balancer refuses nobody."""
    nowhere = replace(service(type="nlb-ip", scheme="internet-facing"), selector={"app": "gone"})

    assert targets(nowhere) == []
    assert chain(nowhere, "input")[1] == 'tcp dport 80 counter drop comment "no target"'
    assert chain(service(), "input")[-1] == 'counter drop comment "no listener"'


def test_the_controllers_are_internal_unless_their_scheme_says_otherwise() -> None:
    found = {
        scheme: balancers(VPC, NODES, (service(type="external", **scheme_of),))[0].subnet.name
        for scheme, scheme_of in {
            "none": {},
            "internal": {"scheme": "internal"},
            "internet-facing": {"scheme": "internet-facing"},
        }.items()
    }

    assert found == {"none": "private-a", "internal": "private-a", "internet-facing": "public-a"}


def test_its_name_is_in_another_domain_than_a_classic_ones() -> None:
    """The region comes behind `elb`, and an internal one has no prefix."""
    names = [
        dns_name("eks", service(**how), "us-west-2")
        for how in ({}, {"internal": "true"}, {"type": "external"})
    ]

    assert all(name.endswith(".elb.us-west-2.amazonaws.com") for name in names)
    assert names[0] == names[1]
    assert names[2].startswith("k8s-default-web-")


def test_nodes_take_from_its_clients_and_from_its_subnet() -> None:
    """updateInstanceSecurityGroupsForNLB: it has no security group itself."""
    web = replace(service(), load_balancer_source_ranges=(IPv4Network("203.0.113.0/24"),))
    described = lab(web, replace(VPC, security_groups=(SecurityGroup("other"),)))
    allocations = allocate(described)

    groups = {group.name: group for group in vpcs(described, allocations)["main"].security_groups}

    [cluster] = described.clusters
    port = Range(31787, 31787)
    made = groups[cluster.security_group].allows_in
    assert GroupRule(protocol="tcp", ports=port, cidr=IPv4Network("203.0.113.0/24")) in made
    assert GroupRule(protocol="tcp", ports=port, cidr=IPv4Network("10.0.101.0/24")) in made
    assert not any(name.startswith("k8s-elb") for name in groups)
    assert not [
        fact
        for fact in plan(described, allocations)
        if isinstance(fact, NftElement) and fact.set == "groups" and "nlb" in fact.element
    ]


def test_with_stickiness_only_the_client_chooses_the_target() -> None:
    """Target groups, "Sticky sessions": source_ip is the only type there is."""
    sticky = service(target_group_attributes="stickiness.enabled=true,stickiness.type=source_ip")

    [rule] = chain(sticky, "listeners")
    assert " jhash ip saddr mod 1 seed 0x1 vmap " in rule


def test_several_attributes_and_those_that_change_no_packet_are_taken() -> None:
    pods = service(
        type="external",
        nlb_target_type="ip",
        attributes="load_balancing.cross_zone.enabled=true, deletion_protection.enabled=true",
        target_group_attributes=f"deregistration_delay.timeout_seconds=30,{PRESERVE}=true",
    )

    assert [*problems(lab(pods))] == []
    assert (load_balancer(pods).cross_zone, load_balancer(pods).preserves("TCP")) == (True, True)


def test_the_class_is_the_controllers_type() -> None:
    """AWS Load Balancer Controller: spec.loadBalancerClass, which wants no annotation."""
    by_class = replace(service(), annotations={}, load_balancer_class="service.k8s.aws/nlb")
    by_type = service(type="external")

    assert load_balancer(by_class) == load_balancer(by_type)
    assert [*problems(lab(by_class))] == []


def test_kubernetes_of_2019_knows_no_class(topologies: Path) -> None:
    kops = load(topologies / "kops.yaml")
    [cluster] = kops.clusters
    classed = replace(service(), annotations={}, load_balancer_class="service.k8s.aws/nlb")

    [problem] = problems(replace(kops, clusters=(replace(cluster, services=(classed,)),)))

    assert problem.key == "clusters.kops.services.web.loadBalancerClass"


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        ({"type": "alb"}, 'expected "nlb" or "nlb-ip" or "external", found "alb"'),
        ({"type": "nlb", "nlb_target_type": "ip"}, 'has to be "external" for it, not "nlb"'),
        ({"type": "external", "nlb_target_type": "pod"}, 'expected "instance" or "ip"'),
        ({"proxy_protocol": "*"}, "proxy_protocol_v2.enabled=true does"),
        ({"name": "web"}, "only AWS Load Balancer Controller knows it"),
        ({"type": "external", "name": "internal-web"}, 'nor may it begin with "internal-"'),
        ({"type": "external", "name": "w" * 33}, "at most 32 letters"),
        ({"type": "external", "eip_allocations": "a, b"}, "that face the internet"),
        ({"backend_protocol": "http"}, "speaks tcp or ssl with its targets"),
        ({"connection_draining_enabled": "true"}, "for Classic Load Balancers only"),
        ({"subnets": "public-a, public-c"}, 'there is no subnet "public-c"; did you mean'),
        ({"subnets": "public-a, private-a"}, "are both in us-west-2a"),
        ({"target_node_labels": "disk"}, 'expected labels such as "disk=ssd"'),
        ({"subnets": "public-a,"}, 'expected different names such as "a, b"'),
        ({"target_group_attributes": "stickiness.type=lb_cookie"}, 'expected "source_ip"'),
        ({"target_group_attributes": "slow_start.duration_seconds=30"}, "is not enforced"),
        ({"target_group_attributes": "stickiness.enabled"}, "expected attributes such as"),
        ({"target_group_attributes": "stickiness.enabled=1,stickiness=1"}, '"stickiness" is not'),
        ({"attributes": "dns_record.client_routing_policy=x"}, "is not enforced"),
        ({"ip_address_type": "dualstack"}, 'expected "ipv4", found "dualstack"'),
        ({"target_group_attributes": f"{PRESERVE}=maybe"}, 'expected "true" or "false"'),
        ({"healthcheck_port": "0"}, "expected a number from 1 to 65535"),
        ({"healthcheck_path": "up"}, 'expected a path such as "/healthz"'),
        ({"healthcheck_path": "/up\nglobal"}, 'expected a path such as "/healthz"'),
        ({"healthcheck_path": "/up #"}, 'expected a path such as "/healthz"'),
        ({"ssl_cert": ""}, "expected a certificate's ARN"),
    ],
)
def test_a_wrong_annotation_is_one_clear_problem(annotations: dict[str, str], told: str) -> None:
    [problem] = problems(lab(service(**annotations)))

    assert told in problem.message
    assert problem.key.startswith("clusters.eks.services.web.annotations")


def test_annotations_of_its_own_need_its_type() -> None:
    classic = replace(service(), annotations={f"{PREFIX}scheme": "internal"})

    [problem] = problems(lab(classic))

    assert "only a Network Load Balancer has it" in problem.message


def test_udp_is_taken_and_its_client_cannot_be_hidden() -> None:
    dns = ServicePort(53, node_port=31053, protocol="UDP")

    assert [*problems(lab(service(dns)))] == []
    [problem] = problems(lab(service(dns, target_group_attributes=f"{PRESERVE}=false")))
    assert problem.key == "clusters.eks.services.web.ports[0].protocol"


def test_kubernetes_of_2019_knows_tcp_only(topologies: Path) -> None:
    """EnsureLoadBalancer asks for the protocol before it asks for the type."""
    kops = load(topologies / "kops.yaml")
    [cluster] = kops.clusters
    dns = service(ServicePort(53, protocol="UDP"))

    [problem] = problems(replace(kops, clusters=(replace(cluster, services=(dns,)),)))

    assert problem.message == "Only TCP LoadBalancer is supported for AWS ELB"


def test_kubernetes_refuses_session_affinity_and_the_controller_does_not() -> None:
    sticky = replace(service(), session_affinity="ClientIP")
    by_controller = replace(service(type="external"), session_affinity="ClientIP")

    [problem] = problems(lab(sticky))
    assert problem.message == "unsupported load balancer affinity: ClientIP"
    assert [*problems(lab(by_controller))] == []


def test_pods_without_addresses_of_the_vpc_cannot_be_targets(topologies: Path) -> None:
    kops = load(topologies / "kops.yaml")
    [cluster] = kops.clusters
    web = service(type="external", nlb_target_type="ip")

    [problem] = problems(replace(kops, clusters=(replace(cluster, services=(web,)),)))

    assert problem.key.endswith(f'annotations["{PREFIX}nlb-target-type"]')
    assert "only where they have addresses of the VPC" in problem.message


def test_its_addresses_can_be_chosen() -> None:
    web = service(type="external", private_ipv4_addresses="10.0.1.9, 10.0.2.9")

    assert [*problems(lab(web))] == []
    found = {eni.instance: str(eni.primary) for eni in allocate(lab(web)).enis}
    assert (found[ZONE_A], found[ZONE_B]) == ("10.0.1.9", "10.0.2.9")


@pytest.mark.parametrize(
    ("addresses", "told"),
    [
        ("10.0.1.9", 'expected one address in 10.0.2.0/24 of subnet "private-b", found 0'),
        ("10.0.1.9, 10.0.1.10, 10.0.2.9", 'of subnet "private-a", found 2'),
        ("10.0.1.9, 10.0.2.9, 10.0.3.9", "an address for each of 2 subnets, found 3"),
        ("10.0.1.9, 10.0.2.2", "Address 10.0.2.2 is in subnet's reserved address range"),
        ("10.0.1.9, b", 'expected addresses such as "10.0.1.9, 10.0.2.9"'),
    ],
)
def test_they_are_one_in_each_of_its_subnets(addresses: str, told: str) -> None:
    web = service(type="external", private_ipv4_addresses=addresses)

    found = [*problems(lab(web))]

    assert told in found[0].message
    assert found[0].key.endswith(f'annotations["{PREFIX}private-ipv4-addresses"]')


def test_a_subnet_needs_eight_free_addresses_for_it() -> None:
    """Elastic Load Balancing's refusal; a /28 has eleven."""
    taken = tuple(Node(f"taken-{i}", "public-a", "t3.small") for i in range(4))
    small = replace(VPC.subnets[0], cidr=IPv4Network("10.0.101.0/28"))
    narrow = replace(VPC, subnets=(small, *VPC.subnets[1:]))
    cluster = EksCluster("eks", "main", (*NODES, *taken), PODS, services=(service(),))

    with pytest.raises(AwsError, match="ELB requires at least 8 free IP addresses"):
        allocate(Lab("test", (narrow,), (cluster,)))
    assert allocate(lab(service(), narrow))


def test_its_address_stays_when_nodes_come_and_go() -> None:
    """One fixed address in each zone (Network Load Balancers, "Availability Zones")."""
    before = allocate(lab(service()))
    more = (*NODES, Node("node-0", "public-a", "t3.small"))
    cluster = EksCluster("eks", "main", more, PODS, services=(service(),))
    after = allocate(Lab("test", (VPC,), (cluster,)), before)

    [address] = [eni.primary for eni in after.enis if eni.instance == ZONE_A]
    assert address == IPv4Address("10.0.101.4")


def test_tls_and_the_proxy_protocol_are_relayed_and_the_rest_is_translated() -> None:
    """A haproxy ends those connections; where targets see the client it speaks as the client."""
    https = ServicePort(443, target_port=80, name="https", node_port=31443)
    web = service(
        HTTP,
        https,
        ssl_cert="arn:aws:acm:us-west-2:1:certificate/1",
        ssl_ports="https",
        backend_protocol="ssl",
    )

    lines = [line.strip() for line in checks(web).splitlines()]

    assert "bind 10.0.101.4:443 ssl crt tls.pem" in lines
    assert "source 0.0.0.0 usesrc client" in lines
    assert "server node-1 10.0.1.4:31443 ssl verify none no-check-ssl check port 31443" in lines
    assert "server node-1 10.0.1.4:31443 ssl verify none" in lines, "where none is healthy"
    assert "server node-1 10.0.1.4:31787 check port 31787" in lines
    assert targets(web) == ["tcp-80/node-1"]
    assert "tcp dport 443 accept" in chain(web, "input")
    assert not [rule for rule in chain(service(), "input") if "dport" in rule], "control"


@pytest.mark.parametrize(
    "annotations",
    [
        {"target_group_attributes": "proxy_protocol_v2.enabled=true"},
        {"type": "external", "proxy_protocol": "*"},
    ],
    ids=str,
)
def test_targets_are_told_of_the_client_in_health_checks_too(annotations: dict[str, str]) -> None:
    """Target groups, "Proxy protocol": the header is there, and tells of no client."""
    text = checks(service(**annotations))

    assert "server node-1 10.0.1.4:31787 send-proxy-v2 check-send-proxy check port" in text


def test_without_preservation_the_relay_speaks_for_itself() -> None:
    web = service(
        target_group_attributes=f"proxy_protocol_v2.enabled=true,{PRESERVE}=false",
        attributes="load_balancing.cross_zone.enabled=true",
    )

    assert "usesrc" not in checks(web)
    assert "10.0.2.4:31787" in checks(web)


def test_its_subnets_name_and_elastic_addresses_are_chosen() -> None:
    """By name or by id; a zone that is named has one whether it has nodes or not."""
    ids = f"{identifier('subnet', 'main', 'private-b')}, private-a"
    web = service(type="external", subnets=ids, name="shop")

    made = balancers(VPC, NODES[:1], (web,))

    assert [(one.zone, one.subnet.name) for one in made] == [
        ("us-west-2b", "private-b"),
        ("us-west-2a", "private-a"),
    ]
    assert dns_name("eks", web, "us-west-2").startswith("shop-")


def test_there_is_an_elastic_address_for_each_subnet() -> None:
    facing = {"type": "external", "scheme": "internet-facing"}

    [problem] = problems(lab(service(**facing, eip_allocations="eipalloc-1")))

    assert "number of EIP allocations (1) and subnets (2) must match" in problem.message
    assert list(problems(lab(service(**facing, eip_allocations="eipalloc-1, eipalloc-2")))) == []


@pytest.mark.parametrize(
    "annotation", [{"ssl_cert": "x"}, {"subnets": "public-a"}, {"target_node_labels": "a=b"}]
)
def test_kubernetes_of_2019_knows_neither_tls_nor_subnets(
    topologies: Path, annotation: dict[str, str]
) -> None:
    kops = load(topologies / "kops.yaml")
    web = service(ServicePort(80), **annotation)
    [cluster] = kops.clusters

    [problem] = problems(replace(kops, clusters=(replace(cluster, services=(web,)),)))

    assert "it is not in era 1.14" in problem.message


def test_the_proxy_protocol_is_for_tcp() -> None:
    dns = ServicePort(53, protocol="UDP")

    [problem] = problems(
        lab(service(dns, target_group_attributes="proxy_protocol_v2.enabled=true"))
    )

    assert problem.message == "the testbed has the PROXY protocol for TCP only"


def test_labels_say_which_nodes_are_targets() -> None:
    """An annotation asks for some, and one well-known label takes a node away from all."""
    ssd = replace(NODES[0], labels={"disk": "ssd"})
    excluded = replace(NODES[1], labels={EXCLUDED: ""})
    chosen = service(target_node_labels="disk=ssd", cross_zone_load_balancing_enabled="true")

    def nodes(web: Service, *there: Node) -> list[tuple[str, ...]]:
        return [one.nodes for one in balancers(VPC, there, (web,))]

    assert nodes(chosen, ssd, NODES[1]) == [("node-1",)]
    assert nodes(service(), ssd, excluded) == [("node-1",)]
    assert nodes(service(), ssd, NODES[1]) == [("node-1",), ("node-2",)], "control"


@pytest.mark.parametrize(
    ("how", "era", "left_out"),
    [
        ({"type": "nlb"}, "1.14", [MASTER]),
        ({"type": "nlb"}, "current", [EXCLUDED, LEAVING]),
        ({"type": "external"}, "current", [MASTER, EXCLUDED, EXCLUDED_ALPHA, LEAVING]),
    ],
    ids=str,
)
def test_who_makes_a_load_balancer_decides_which_nodes_are_targets(
    how: dict[str, str], era: Era, left_out: list[str]
) -> None:
    """Kubernetes 1.14 knew masters, today's a label; cluster-autoscaler's taint says goodbye."""
    labels = (MASTER, EXCLUDED, EXCLUDED_ALPHA)
    marked = {key: replace(NODES[1], labels={key: ""}) for key in labels}
    marked[LEAVING] = replace(NODES[1], taints=(Taint(LEAVING, "NoSchedule"),))

    def targets_beside(node: Node) -> list[tuple[str, ...]]:
        return [one.nodes for one in balancers(VPC, (NODES[0], node), (service(**how),), era)]

    assert targets_beside(NODES[1]) == [("node-1",), ("node-2",)], "control"
    assert [key for key in marked if targets_beside(marked[key]) == [("node-1",)]] == left_out


def test_whether_checks_of_another_port_have_the_proxy_header_is_a_setting() -> None:
    """AWS says that health checks have it, and nothing of those that ask another port."""
    told = service(
        target_group_attributes="proxy_protocol_v2.enabled=true", healthcheck_port="10254"
    )
    always = replace(told, health_check=HealthCheck(proxy_header="always"))

    assert "send-proxy-v2 check port 10254" in checks(told)
    assert "send-proxy-v2 check-send-proxy check port 10254" in checks(always)
