"""The lab of the tests of Network Load Balancers: two zones, two nodes, one Service."""

from ipaddress import IPv4Network

from testbed.allocations import allocate
from testbed.eks.model import EksCluster
from testbed.kubernetes.load_balancers.annotations import PREFIX
from testbed.kubernetes.model import Node, Pod, Service, ServicePort
from testbed.lab import Lab
from testbed.net.facts import NftChain
from testbed.plan import plan, programs
from testbed.services.load_balancers.health import ALL_WELL, Health
from testbed.vpc.model import RouteEntry, RouteTable, Subnet, Vpc

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
