"""The lab of eks.yaml as a script.

`testbed up topologies/eks.py` brings it up like any topology.  By itself it works as a Mininet
script does: it brings the lab up, opens Mininet's prompt, and takes the lab down at the end.

    .venv/bin/python topologies/eks.py
"""

from testbed.eks.model import EksCluster
from testbed.kubernetes.model import Container, Node, Pod, Service, ServicePort
from testbed.lab import Lab
from testbed.vpc.model import INTERNET_GATEWAY, NatGateway, RouteTable, Subnet, Vpc

ZONES = {"a": 1, "b": 2}  # us-west-2a and us-west-2b, and the number in their subnets' ranges


def public(zone: str) -> Subnet:
    """A zone's subnet with a route to the internet gateway, for NAT and load balancers."""
    return Subnet(f"public-{zone}", f"10.0.10{ZONES[zone]}.0/24", f"us-west-2{zone}", "public")


def private(zone: str) -> Subnet:
    """A zone's subnet for nodes, which reach the internet by their zone's NAT gateway."""
    name = f"private-{zone}"
    return Subnet(name, f"10.0.{ZONES[zone]}.0/24", f"us-west-2{zone}", route_table=name)


vpc = Vpc(
    "main",
    cidrs=["10.0.0.0/16"],
    subnets=[*map(public, ZONES), *map(private, ZONES)],
    route_tables=[
        RouteTable("public", {"0.0.0.0/0": INTERNET_GATEWAY}),
        *[RouteTable(f"private-{zone}", {"0.0.0.0/0": f"nat-{zone}"}) for zone in ZONES],
    ],
    nat_gateways=[NatGateway(f"nat-{zone}", subnet=f"public-{zone}") for zone in ZONES],
)

nodes = [
    Node("node-1", subnet="private-a", instance_type="t3.small"),
    Node("node-2", subnet="private-b", instance_type="t3.small"),
    Node("node-3", subnet="private-a", instance_type="t3.small"),
]

pods = [
    *Pod.replicas("web", 5, node="node-1"),  # three on eth0's addresses, two on eth1's
    Pod("client", node="node-2"),
    Pod(
        "api",  # the scheduler finds it a node
        containers=[
            Container("app", ports=["8080/http"]),
            Container("metrics", ports=["9090/http", "8125/udp"]),
        ],
    ),
    Pod(
        "node-exporter",
        namespace="monitoring",
        node="node-2",
        host_network=True,
        containers=[Container("exporter", ports=["9100/http"])],
    ),
]

services = [
    Service("web", type="LoadBalancer", selector={"app": "web"}, ports=[80]),
    Service("api", selector={"app": "api"}, ports=[ServicePort(80, target_port=8080)]),
]

cluster = EksCluster("eks", vpc="main", nodes=nodes, pods=pods, services=services)
lab = Lab("eks", vpcs=[vpc], clusters=[cluster])

if __name__ == "__main__":
    from testbed import mininet

    mininet.run(lab)
