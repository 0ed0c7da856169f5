"""A lab's namespaces as people know them, for answers and drawings.  Pure."""

from collections.abc import Iterator

from testbed.allocations import Allocations
from testbed.explain.answer import Kind, Place
from testbed.lab import Lab
from testbed.networks.model import Site
from testbed.networks.site import router_address
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import device
from testbed.vpc.fabric.resolver import resolver_address
from testbed.vpc.model import Vpc
from testbed.vpc.naming import (
    INTERNET,
    gateway_address,
    internet_gateway,
    private_gateway,
    resolver,
    router,
    transit_gateway,
)

KINDS: dict[str, Kind] = {
    "nat_gateway": "nat-gateway",
    "load_balancer": "load-balancer",
    "network_load_balancer": "load-balancer",
}


def places(lab: Lab, allocations: Allocations) -> tuple[Place, ...]:
    """Every namespace of the lab, each with its addresses."""
    found = [*_pods(lab, allocations), *_instances(lab, allocations)]
    for vpc in lab.vpcs:
        found += _vpc(vpc, allocations)
    for gateway in lab.transit_gateways:
        found.append(Place(ns=transit_gateway(gateway.name), kind="transit-gateway"))
    for site in lab.on_premises:
        found += _site(site)
    return (*found, Place(ns=INTERNET, kind="internet", addresses=lab.internet.hosts))


def _pods(lab: Lab, allocations: Allocations) -> Iterator[Place]:
    alone = {pod.pod: pod for pod in allocations.pods if pod.on_fargate}
    for pod in allocations.pods:
        if not pod.host_network and not pod.on_fargate:  # such a pod is its node
            yield Place(ns=pod.pod, kind="pod", inside=pod.node, addresses=(pod.ip,))
    zones = _zones(lab)
    for eni in allocations.enis:
        if eni.instance in alone:
            detail = f"Fargate · {zones[eni.vpc, eni.subnet]}"
            yield Place(
                ns=eni.instance,
                kind="pod",
                inside=router(eni.vpc),
                detail=detail,
                addresses=eni.addresses,
                devices=(device(eni),),
            )


def _instances(lab: Lab, allocations: Allocations) -> Iterator[Place]:
    """What has ENIs: nodes, bare instances, NAT gateways, load balancers."""
    types = {node.name: node.instance_type for one in lab.clusters for node in one.nodes}
    bare = {one.name: one.instance_type for vpc in lab.vpcs for one in vpc.instances}
    types |= bare
    zones = _zones(lab)
    pods = {pod.pod for pod in allocations.pods}
    instances: dict[str, list[Eni]] = {}
    for eni in sorted(allocations.enis, key=lambda eni: eni.device_index):
        if eni.is_link and eni.instance not in pods:
            instances.setdefault(eni.instance, []).append(eni)
    for name, enis in instances.items():
        first = enis[0]
        known = (types.get(name, first.subnet), zones.get((first.vpc, first.subnet), ""))
        yield Place(
            ns=name,
            kind=KINDS.get(first.interface_type, "instance" if name in bare else "node"),
            inside=router(first.vpc),
            detail=" · ".join(filter(None, known)),
            addresses=tuple(eni.primary for eni in enis),
            devices=tuple(map(device, enis)),
        )


def _zones(lab: Lab) -> dict[tuple[str, str], str]:
    """The availability zone of each subnet of each VPC."""
    return {
        (vpc.name, subnet.name): subnet.availability_zone
        for vpc in lab.vpcs
        for subnet in vpc.subnets
    }


def _vpc(vpc: Vpc, allocations: Allocations) -> Iterator[Place]:
    ns = router(vpc.name)
    own = tuple(gateway_address(subnet) for subnet in vpc.subnets)
    yield Place(ns=ns, kind="vpc", detail=", ".join(map(str, vpc.cidrs)), addresses=own)
    public = [eni.public_ip for eni in allocations.enis if eni.vpc == vpc.name and eni.public_ip]
    gateway = internet_gateway(vpc.name)
    yield Place(ns=gateway, kind="internet-gateway", inside=ns, addresses=tuple(public))
    if vpc.virtual_private_gateway:
        yield Place(ns=private_gateway(vpc.name), kind="private-gateway", inside=ns)
    yield Place(ns=resolver(vpc.name), detail="DNS", inside=ns, addresses=(resolver_address(vpc),))


def _site(site: Site) -> Iterator[Place]:
    yield Place(
        ns=site.name,
        kind="customer-gateway",
        detail=", ".join(map(str, site.cidrs)),
        addresses=(router_address(site),),
    )
    for host in site.hosts:
        yield Place(ns=host.name, kind="host", inside=site.name, addresses=(host.address,))
