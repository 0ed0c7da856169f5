"""The lab of the tests of Classic ELBs, and the configuration of one."""

from ipaddress import IPv4Network

from testbed.allocations import allocate
from testbed.eks.model import EksCluster
from testbed.kubernetes.model import Node, Service, ServicePort
from testbed.lab import Lab
from testbed.plan import programs
from testbed.vpc.model import RouteEntry, RouteTable, Subnet, Vpc

WEB = Service("web", {"app": "web"}, (ServicePort(80, node_port=31787),), type="LoadBalancer")
NODES = (
    Node("node-1", "private-a", "t3.small"),
    Node("node-2", "private-b", "t3.small"),
    Node("node-3", "private-a", "t3.small"),
)
VPC = Vpc(
    "main",
    (IPv4Network("10.0.0.0/16"),),
    (
        Subnet("public-a", IPv4Network("10.0.101.0/24"), "us-west-2a", "public"),
        Subnet("public-b", IPv4Network("10.0.102.0/24"), "us-west-2b", "public"),
        Subnet("public-c", IPv4Network("10.0.103.0/24"), "us-west-2c", "public"),
        Subnet("also-public-a", IPv4Network("10.0.104.0/24"), "us-west-2a", "public"),
        Subnet("private-a", IPv4Network("10.0.1.0/24"), "us-west-2a"),
        Subnet("private-b", IPv4Network("10.0.2.0/24"), "us-west-2b"),
    ),
    (RouteTable("public", (RouteEntry(IPv4Network("0.0.0.0/0"), "internet-gateway"),)),),
)


def lab(*services: Service, vpc: Vpc = VPC) -> Lab:
    return Lab("test", (vpc,), (EksCluster("eks", "main", NODES, services=services),))


def haproxy_cfg(service: Service, zone: str = "us-west-2a") -> str:
    """What the Service's load balancer in a zone is told."""
    described = lab(service)
    [text] = [
        dict(program.files)["haproxy.cfg"]
        for program in programs(described, allocate(described))
        if program.netns == f"elb-web-{zone}"
    ]
    return text
