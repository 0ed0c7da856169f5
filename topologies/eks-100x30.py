"""A hundred nodes with thirty pods each: the lab that `make bench` measures.

Three ENIs on every node, the CNI's rules and kube-proxy's on every node.  It comes up in seconds:

    testbed up topologies/eks-100x30.py

Import it and call `cluster(nodes, pods)` for another size.
"""

from testbed.eks.model import CniSettings, EksCluster
from testbed.kubernetes.model import Node, Pod, Service
from testbed.lab import Lab
from testbed.vpc.model import INTERNET_GATEWAY, NatGateway, RouteTable, Subnet, Vpc

ZONES = "abc"
SERVICES = 20
ENDPOINTS = 3  # of each Service


def vpc() -> Vpc:
    """Three zones: in each a subnet of 8,192 addresses for nodes, and a NAT gateway."""
    public = [
        Subnet(f"public-{zone}", f"10.0.{zone_number}.0/24", f"us-west-2{zone}", "public")
        for zone_number, zone in enumerate(ZONES)
    ]
    private = [
        Subnet(
            f"private-{zone}",
            f"10.0.{32 * zone_number}.0/19",
            f"us-west-2{zone}",
            f"private-{zone}",
        )
        for zone_number, zone in enumerate(ZONES, 1)
    ]
    return Vpc(
        "main",
        cidrs=["10.0.0.0/16"],
        subnets=[*public, *private],
        route_tables=[
            RouteTable("public", {"0.0.0.0/0": INTERNET_GATEWAY}),
            *[RouteTable(f"private-{zone}", {"0.0.0.0/0": f"nat-{zone}"}) for zone in ZONES],
        ],
        nat_gateways=[NatGateway(f"nat-{zone}", subnet=f"public-{zone}") for zone in ZONES],
    )


def cluster(nodes: int, pods: int) -> Lab:
    """So many nodes with so many pods each, and twenty Services."""
    machines = [
        Node(f"node-{i}", subnet=f"private-{ZONES[i % 3]}", instance_type="m5.xlarge")
        for i in range(nodes)
    ]
    placed = [
        Pod(f"pod-{i}-{j}", node=node.name, labels={"app": f"app-{(i * pods + j) // ENDPOINTS}"})
        for i, node in enumerate(machines)
        for j in range(pods)
    ]
    services = [Service(f"app-{i}", {"app": f"app-{i}"}, [80]) for i in range(SERVICES)]
    eks = EksCluster(
        "eks",
        vpc="main",
        nodes=machines,
        pods=placed,
        services=services,
        env=CniSettings(MAX_ENI=3),
    )
    return Lab(f"eks-{nodes}x{pods}", vpcs=[vpc()], clusters=[eks])


lab = cluster(100, 30)
