"""What AWS would refuse of peerings and of what leads on-premises; paths start at the lab."""

from collections.abc import Collection, Mapping
from itertools import combinations

from testbed.description import duplicates
from testbed.description.problem import Problem, Problems, names, quoted, unknown
from testbed.networks import peering as peerings_of
from testbed.networks import private_gateway, site, transit_gateway
from testbed.networks.model import Connection, Peering, Site, TransitGateway
from testbed.vpc.checks.routes import Around
from testbed.vpc.model import VIRTUAL_PRIVATE_GATEWAY, Vpc

MOST_PEERINGS = 50  # active ones of a VPC: Amazon VPC quotas
# Statuses of a peering that is there; of the others its VPCs may have changed since
ESTABLISHED = ("pending-acceptance", "active")
MOST_PROPAGATED = 100  # routes of a table: Amazon VPC quotas
LARGEST_VPN = site.MTU["vpn"]
PRIVATE_MTUS = (1500, 9001)  # bytes, of a Direct Connect's private virtual interface
TRANSIT_MTUS = (1500, 8500)  # bytes, of its transit virtual interface


def around(
    vpc: Vpc, peerings: tuple[Peering, ...], transits: tuple[TransitGateway, ...]
) -> Around:
    """What a VPC's routes may lead to outside it."""
    mine = [one for one in peerings if vpc.name in one.vpcs]
    attached = {name for name, _ in transit_gateway.attachments(vpc.name, transits)}
    devices = [peerings_of.device(one) for one in mine]
    devices += [transit_gateway.device(name) for name in attached]
    return Around(
        targets=frozenset({*(one.name for one in mine), *attached}),
        elsewhere=frozenset(one.name for one in peerings if one not in mine),
        unattached=frozenset(one.name for one in transits) - attached,
        devices=frozenset(devices),
    )


def peering_problems(peerings: tuple[Peering, ...], vpcs: Mapping[str, Vpc]) -> Problems:
    """Everything wrong with the peerings."""
    for twice in duplicates(one.name for one in peerings):
        yield Problem(("peerings", twice), f"there are two peerings {quoted(twice)}")
    for peering in peerings:
        for problem in _peering(peering, vpcs):
            yield problem.under("peerings", peering.name)
    yield from _pairs(peerings)
    for vpc in vpcs.values():
        active = [one for one in peerings if vpc.name in one.vpcs and one.status == "active"]
        if len(active) > MOST_PEERINGS:
            message = f"VPC {quoted(vpc.name)} has more than {MOST_PEERINGS} active peerings"
            code = "ActiveVpcPeeringConnectionPerVpcLimitExceeded"
            yield Problem(("peerings", active[-1].name), message, code)


def _peering(peering: Peering, vpcs: Mapping[str, Vpc]) -> Problems:
    yield from names((), peering.name)
    for key, name in (("requester", peering.requester), ("accepter", peering.accepter)):
        if name not in vpcs:
            yield Problem((key,), unknown("VPC", name, vpcs), "InvalidVpcID.NotFound")
            return
    yield from _resolution(peering, vpcs)
    if peering.status in ESTABLISHED:
        yield from _overlaps(peering, vpcs)


def _resolution(peering: Peering, vpcs: Mapping[str, Vpc]) -> Problems:
    for name in peering.vpcs if peering.resolved else ():
        if not (vpcs[name].enable_dns_hostnames and vpcs[name].enable_dns_support):
            message = (
                "to resolve each other's names both VPCs need enableDnsSupport and"
                f" enableDnsHostnames; {quoted(name)} lacks one"
            )
            yield Problem((), message, "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled")


def _overlaps(peering: Peering, vpcs: Mapping[str, Vpc]) -> Problems:
    for one in vpcs[peering.requester].cidrs:
        for other in vpcs[peering.accepter].cidrs:
            if one.overlaps(other):
                # the words of a peering's status, whose code is `failed`
                message = (
                    "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range:"
                    f" {one} of {quoted(peering.requester)} and {other} of"
                    f" {quoted(peering.accepter)}"
                )
                yield Problem((), message, "failed")


def _pairs(peerings: tuple[Peering, ...]) -> Problems:
    there = [one for one in peerings if one.status in ESTABLISHED]
    for first, second in combinations(there, 2):
        if frozenset(first.vpcs) == frozenset(second.vpcs):
            message = f"{quoted(first.name)} connects these two VPCs already"
            code = "VpcPeeringConnectionAlreadyExists"
            yield Problem(("peerings", second.name), message, code)


def site_problems(
    sites: tuple[Site, ...], vpcs: Mapping[str, Vpc], transits: tuple[TransitGateway, ...]
) -> Problems:
    """Everything wrong with the on-premises sites."""
    names_of_transits = {one.name for one in transits}
    for one in sites:
        for problem in _site(one, vpcs, names_of_transits):
            yield problem.under("onPremises", one.name)
    for vpc in vpcs.values():
        learned = private_gateway.learned(vpc.name, sites)
        if len({one.destination for one in learned}) > MOST_PROPAGATED:
            message = f"a route table takes at most {MOST_PROPAGATED} propagated routes"
            yield Problem(("vpcs", vpc.name, "virtualPrivateGateway"), message)
        ends = private_gateway.attached(vpc.name, sites)
        for twice in duplicates(private_gateway.device(*end) for end in ends):
            message = f"two connections would both be {quoted(twice)} at the gateway"
            yield Problem(("vpcs", vpc.name, "virtualPrivateGateway"), message)


def _site(one: Site, vpcs: Mapping[str, Vpc], transits: Collection[str]) -> Problems:
    yield from names((), one.name)
    if not one.cidrs:
        yield Problem(("cidrs",), "a site has at least one range")
    for i, cidr in enumerate(one.cidrs):
        if len(one.hosts) >= cidr.num_addresses - 2:
            yield Problem(("cidrs", i), f"{cidr} has no room for hosts and a customer gateway")
    yield from _hosts(one)
    devices = [*(site.device(c) for c in one.connections), *(h.name for h in one.hosts)]
    for twice in duplicates(devices):
        yield Problem((), f"two links of the customer gateway are both {quoted(twice)}")
    for connection in one.connections:
        for problem in _connection(connection, vpcs, transits):
            yield problem.under("connections", connection.name)
    known = [connection.name for connection in one.connections]
    if one.default_route and one.default_route not in known:
        yield Problem(("defaultRoute",), unknown("connection", one.default_route, known))


def _hosts(one: Site) -> Problems:
    for host in one.hosts:
        yield from names(("hosts", host.name), host.name)
        if not any(host.address in cidr for cidr in one.cidrs):
            message = f"{host.address} is not inside {' or '.join(map(str, one.cidrs))}"
            yield Problem(("hosts", host.name), message)
    for twice in duplicates(str(host.address) for host in one.hosts):
        yield Problem(("hosts",), f"two hosts have the address {twice}")


def _connection(one: Connection, vpcs: Mapping[str, Vpc], transits: Collection[str]) -> Problems:
    yield from names((), one.name)
    if one.gateway in transits:
        yield from _type(one, TRANSIT_MTUS)
    elif one.gateway not in vpcs:
        known = [*vpcs, *transits]
        yield Problem(("gateway",), unknown("VPC or transit gateway", one.gateway, known))
    else:
        if vpcs[one.gateway].virtual_private_gateway is None:
            message = f"the VPC {quoted(one.gateway)} has no virtual private gateway"
            yield Problem(("gateway",), message, "InvalidVpnGatewayID.NotFound")
        yield from _type(one, PRIVATE_MTUS)


def _type(one: Connection, mtus: tuple[int, ...]) -> Problems:
    """mtus: of a Direct Connect's virtual interface, in bytes."""
    if one.type == "direct-connect":
        if one.routing == "static":
            yield Problem(("routing",), "Direct Connect has BGP only; static is for a VPN")
        if one.mtu not in (None, *mtus):
            message = f"such a virtual interface has an MTU of {' or '.join(map(str, mtus))}"
            yield Problem(("mtu",), f"{message}, not {one.mtu}")
    elif one.mtu is not None and one.mtu > LARGEST_VPN:
        yield Problem(("mtu",), f"a VPN carries packets of at most {LARGEST_VPN} bytes")


def warnings(
    vpcs: Mapping[str, Vpc], peerings: tuple[Peering, ...], sites: tuple[Site, ...]
) -> Problems:
    """Connections that one side has no route to: AWS takes them, and nothing answers."""
    for peering in peerings:
        if peering.status == "active":
            for name in peering.vpcs:
                if peering.name not in _targets(vpcs[name]):
                    message = f"no route table of VPC {quoted(name)} leads to it"
                    yield Problem(("peerings", peering.name), message)
    for vpc in vpcs.values():
        gateway = vpc.virtual_private_gateway
        used = gateway and (gateway.propagate_to or VIRTUAL_PRIVATE_GATEWAY in _targets(vpc))
        if private_gateway.attached(vpc.name, sites) and not used:
            message = "no route table leads to it: sites are not answered"
            yield Problem(("vpcs", vpc.name, "virtualPrivateGateway"), message)


def _targets(vpc: Vpc) -> set[str]:
    return {entry.target for table in vpc.route_tables for entry in table.routes}
