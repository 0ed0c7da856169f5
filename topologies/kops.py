"""The lab of kops.yaml as a script.

`testbed up topologies/kops.py` brings it up like any topology.  By itself it works as a Mininet
script does: it brings the lab up, opens Mininet's prompt, and takes the lab down at the end.

    .venv/bin/python topologies/kops.py
"""

from testbed.kops.model import KopsCluster, KopsNode
from testbed.kubernetes.model import Container, Pod, Service
from testbed.lab import Lab
from testbed.vpc.model import INTERNET_GATEWAY, RouteTable, Subnet, Vpc

ZONES = {"a": "172.20.32.0/19", "b": "172.20.64.0/19"}  # of us-west-2, with their subnets


def public(zone: str) -> Subnet:
    """A zone's subnet, whose nodes get public addresses."""
    return Subnet(f"public-{zone}", ZONES[zone], f"us-west-2{zone}", map_public_ip_on_launch=True)


vpc = Vpc(
    "main",
    cidrs=["172.20.0.0/16"],
    subnets=map(public, ZONES),
    route_tables=[RouteTable("main", {"0.0.0.0/0": INTERNET_GATEWAY})],
)

nodes = [
    KopsNode("node-1", subnet="public-a", instance_type="t3.medium"),
    KopsNode("node-2", subnet="public-b", instance_type="t3.medium"),
    KopsNode("node-3", subnet="public-a", instance_type="t3.medium"),
]

pods = [
    *Pod.replicas("web", 3),  # the scheduler spreads them: one on each node
    Pod("client", node="node-1"),
    Pod(
        "api",
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

services = [Service("web", {"app": "web"}, ports=[80], type="LoadBalancer")]

cluster = KopsCluster("kops", vpc="main", kind="kops", nodes=nodes, pods=pods, services=services)
lab = Lab("kops", vpcs=[vpc], clusters=[cluster])

if __name__ == "__main__":
    from testbed import mininet

    mininet.run(lab)
