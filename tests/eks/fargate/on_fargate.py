"""A VPC with an EKS cluster whose pods run on Fargate."""

from ipaddress import IPv4Network

from testbed.eks.model import EksCluster, FargateProfile, FargateSelector
from testbed.kubernetes.model import Node, Pod
from testbed.lab import Lab
from testbed.lab.checks import check
from testbed.vpc.model import RouteEntry, RouteTable, Subnet, Vpc

VPC = Vpc(
    "main",
    (IPv4Network("10.0.0.0/16"),),
    (
        Subnet("out", IPv4Network("10.0.9.0/24"), "us-west-2a", route_table="public"),
        Subnet("a", IPv4Network("10.0.1.0/28"), "us-west-2a"),
        Subnet("b", IPv4Network("10.0.2.0/28"), "us-west-2b"),
    ),
    (RouteTable("public", (RouteEntry(IPv4Network("0.0.0.0/0"), "internet-gateway"),)),),
)
ALL = (FargateSelector("default"),)


def profile(*selectors: FargateSelector, name: str = "one", **more: object) -> FargateProfile:
    return FargateProfile(name, selectors or ALL, **more)  # type: ignore[arg-type]


def cluster(*pods: Pod, profiles: tuple[FargateProfile, ...] = (profile(),)) -> EksCluster:
    nodes = (Node("node-1", "out", "t3.small"),)
    return EksCluster("eks", "main", nodes, pods, fargate_profiles=profiles)


def lab(*pods: Pod, profiles: tuple[FargateProfile, ...] = (profile(),)) -> Lab:
    return check(Lab("lab", (VPC,), (cluster(*pods, profiles=profiles),)))


FILE = """\
testbed: v1
name: lab
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      out: { cidr: 10.0.9.0/24, availabilityZone: us-west-2a, routeTable: public }
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2b }
    routeTables:
      public: { 0.0.0.0/0: internet-gateway }
clusters:
  eks:
    vpc: main
    nodes: {}
    fargateProfiles:
      one: %s
    pods:
      web: { namespace: x }
    services:
      web: { selector: { app: web }, ports: [80] }
"""
