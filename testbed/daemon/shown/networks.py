"""What `get` shows of bare instances, route tables and the networks around the VPCs.  Pure."""

from collections.abc import Callable, Iterator
from typing import Any

from testbed.allocations import Allocations
from testbed.lab import Lab
from testbed.networks import private_gateway
from testbed.networks.routes import ends, hops
from testbed.networks.site import mtu_bytes
from testbed.networks.transit_gateway import route_tables as route_table_names
from testbed.plan import vpcs
from testbed.vpc.fabric.routing import Targets
from testbed.vpc.naming import route_tables

Row = dict[str, Any]


def instance_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Bare instances."""
    enis = {eni.instance: eni for eni in allocations.enis if eni.device_index == 0}
    for vpc in lab.vpcs:
        for instance in vpc.instances:
            eni = enis[instance.name]
            yield {
                "name": instance.name,
                "vpc": vpc.name,
                "state": instance.state,
                "subnet": instance.subnet,
                "type": instance.instance_type,
                "ip": str(eni.primary),
                "publicIp": str(eni.public_ip or ""),
                "sourceDestCheck": eni.source_dest_check,
                "ports": ",".join(map(str, instance.ports)),
            }


def route_table_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Route tables with each route's state and origin."""
    for vpc in vpcs(lab, allocations).values():
        enis = [eni for eni in allocations.enis if eni.vpc == vpc.name and eni.is_link]
        targets = Targets(vpc, enis, hops(vpc, lab.peerings, lab.transit_gateways))
        for table in route_tables(vpc):
            yield {
                "name": table.name,
                "vpc": vpc.name,
                "routes": [
                    *(_route(str(cidr), "local", "CreateRouteTable") for cidr in vpc.cidrs),
                    *(
                        _route(
                            str(entry.destination),
                            entry.target,
                            entry.origin or "CreateRoute",
                            active=targets.is_active(entry),
                        )
                        for entry in table.routes
                    ),
                ],
                "subnets": [s.name for s in vpc.subnets if s.route_table == table.name],
            }


def _route(destination: str, target: str, origin: str, *, active: bool = True) -> Row:
    """A route with the words of DescribeRouteTables for its state and origin."""
    return {
        "destination": destination,
        "target": target,
        "state": "active" if active else "blackhole",
        "origin": origin,
    }


def peering_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """VPC peering connections."""
    for one in lab.peerings:
        yield {
            "name": one.name,
            "requester": one.requester,
            "accepter": one.accepter,
            "status": one.status,
        }


def transit_gateway_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Transit gateways with their attachments and route tables."""
    for gateway in lab.transit_gateways:
        yield {
            "name": gateway.name,
            "attachments": [one.name for one in gateway.attachments],
            "routeTables": list(route_table_names(gateway)),
        }


def host_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Hosts of on-premises sites."""
    for site in lab.on_premises:
        for host in site.hosts:
            yield {"name": host.name, "site": site.name, "ip": str(host.address)}


def connection_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """VPN and Direct Connect connections."""
    places = ends({vpc.name: vpc for vpc in lab.vpcs}, lab.transit_gateways)
    for site in lab.on_premises:
        for one in site.connections:
            yield {
                "name": one.name,
                "site": site.name,
                "gateway": places[one.gateway].ns,
                "type": one.type,
                "routing": private_gateway.kind(one)[1],
                "status": "up" if one.up else "down",
                "mtu": mtu_bytes(one),
                "routes": [str(to) for to in private_gateway.announced(site, one)],
            }


NETWORK_KINDS: dict[str, Callable[[Lab, Allocations], Iterator[Row]]] = {
    "instances": instance_rows,
    "routetables": route_table_rows,
    "peerings": peering_rows,
    "transitgateways": transit_gateway_rows,
    "connections": connection_rows,
    "hosts": host_rows,
}
