"""The VPC's own words for what its namespaces do: checks, mapping, route tables, gateways.

The fabric is made of nft chains and routes; here their names and comments are read back.
"""

from collections.abc import Iterable, Mapping

from testbed.explain.journey import FabricStep, NetfilterStep
from testbed.explain.packet import Packet, address
from testbed.net.facts import LOCAL, NftElement, Route, Rule
from testbed.vpc.fabric.load_balancers import CLASSIC_TABLE, NO_LISTENER, NO_TARGET, SOURCE_RANGES
from testbed.vpc.fabric.load_balancers import TABLE as LOAD_BALANCER
from testbed.vpc.naming import (
    ADDRESSES,
    POD_RANGE,
    ROUTE_LIMIT,
    SERVICE_RANGE,
    network_load_balancer,
    router,
    transit_gateway,
)
from testbed.vpc.security.profiles import NO_RULE, NO_RULES
from testbed.vpc.security.tracking import BITS, tracked

VPC, INTERNET_GATEWAY, NAT_GATEWAY = "vpc", "igw", "nat-gateway"  # the tables of testbed.vpc
API_SERVER = "eks"  # of testbed.eks.control_plane
PEERING, PRIVATE_GATEWAY, TRANSIT_GATEWAY = "peering", "vgw", "tgw"  # of testbed.networks

SOURCE_CHECK, DESTINATION_CHECK = "source check", "destination check"
SECURITY_GROUPS, NETWORK_ACL = "security groups", "network ACL"
SAME_SUBNET, MAPPING, ROUTE_TABLE = "same subnet", "mapping", "route table"
TRANSLATIONS = {
    INTERNET_GATEWAY: "internet gateway",
    NAT_GATEWAY: "NAT gateway",
    LOAD_BALANCER: "load balancer",
}

# Which rules are steps of the VPC: by table, chain and verdict
_STEPS: Mapping[tuple[str, str, str], str] = {
    (VPC, "prerouting", "goto mapping"): SOURCE_CHECK,
    (VPC, "mapping", "goto lift"): SAME_SUBNET,
    (VPC, "postrouting", "accept"): DESTINATION_CHECK,
}

# Chains of security groups and ACLs by the first part of their names, and how they let pass
FILTERS = (SECURITY_GROUPS, NETWORK_ACL)
_FILTERS = {"in": SECURITY_GROUPS, "out": SECURITY_GROUPS, "acl": NETWORK_ACL}
_PASSED = ("return", *(f"goto {tracked(direction)}" for direction in BITS))

# Why rules drop: by the comment that the rule carries, else by its chain
_DROPS: Mapping[tuple[str, str], tuple[str, str]] = {
    (VPC, "source MAC"): ("X_SOURCE_MAC", SOURCE_CHECK),
    (VPC, "not IPv4"): ("X_NOT_IPV4", SOURCE_CHECK),
    (VPC, "source check"): ("ENI_SOURCE_DEST_CHECK_RESTRICTION", SOURCE_CHECK),
    (VPC, "no mapping"): ("X_NO_MAPPING", MAPPING),
    (VPC, "link-local rate"): ("X_LINK_LOCAL_PPS", "Amazon's services"),
    (VPC, "destination check"): ("ENI_SOURCE_DEST_CHECK_RESTRICTION", DESTINATION_CHECK),
    (VPC, "input"): ("X_ROUTER_SILENT", "router"),
    (VPC, "output"): ("X_ROUTER_SILENT", "router"),
    (VPC, NO_RULE): ("ENI_SG_RULES_MISMATCH", SECURITY_GROUPS),
    (VPC, NO_RULES): ("SG_HAS_NO_RULES", SECURITY_GROUPS),
    (INTERNET_GATEWAY, ROUTE_LIMIT): ("X_ROUTE_LIMIT", "internet gateway"),
    (INTERNET_GATEWAY, POD_RANGE): ("X_NO_POD_ROUTE", "internet gateway"),
    (INTERNET_GATEWAY, SERVICE_RANGE): ("X_NO_SERVICE_RULE", "internet gateway"),
    (INTERNET_GATEWAY, "source has no public address"): (
        "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS",
        "internet gateway",
    ),
    (INTERNET_GATEWAY, "private destination"): (
        "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS",
        "internet gateway",
    ),
    (INTERNET_GATEWAY, "private source"): (
        "IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS",
        "internet gateway",
    ),
    (INTERNET_GATEWAY, "no such public address"): (
        "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
        "internet gateway",
    ),
    (INTERNET_GATEWAY, "input"): ("X_ROUTER_SILENT", "internet gateway"),
    (INTERNET_GATEWAY, "output"): ("X_ROUTER_SILENT", "internet gateway"),
    (NAT_GATEWAY, "not for NAT"): ("NGW_REQUIRES_SOURCE_IN_VPC", "NAT gateway"),
    (NAT_GATEWAY, "no such flow"): ("X_NAT_UNSOLICITED", "NAT gateway"),
    (NAT_GATEWAY, "fragment"): ("X_FRAGMENT", "NAT gateway"),
    (NAT_GATEWAY, "input"): ("X_NAT_UNSOLICITED", "NAT gateway"),
    (LOAD_BALANCER, NO_LISTENER): ("ELBV2_LISTENERS_MISMATCH", "load balancer"),
    (LOAD_BALANCER, NO_TARGET): ("ELBV2_NO_TARGETS_IN_AZ", "load balancer"),
    (LOAD_BALANCER, SOURCE_RANGES): ("X_SOURCE_RANGES", "load balancer"),
    (CLASSIC_TABLE, SOURCE_RANGES): ("X_SOURCE_RANGES", "load balancer"),
    (API_SERVER, "public access CIDRs"): ("X_PUBLIC_ACCESS_CIDRS", "public endpoint"),
    (PEERING, "not transitive"): ("PCX_REQUIRES_ADDRESS_IN_VPC_CIDR", "peering"),
    (PEERING, "edge to edge"): ("X_EDGE_TO_EDGE", "peering"),
    (PEERING, "DNS server"): ("X_EDGE_TO_EDGE", "peering"),
    (PRIVATE_GATEWAY, "source of no ENI"): (
        "VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS",
        "virtual private gateway",
    ),
    (PRIVATE_GATEWAY, "destination of no ENI"): (
        "VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
        "virtual private gateway",
    ),
    (TRANSIT_GATEWAY, "zone without attachment"): (
        "TGW_ROUTE_AZ_RESTRICTION",
        "transit gateway",
    ),
    (TRANSIT_GATEWAY, "DNS server"): ("X_EDGE_TO_EDGE", "transit gateway"),
    (TRANSIT_GATEWAY, "input"): ("X_ROUTER_SILENT", "transit gateway"),
    (TRANSIT_GATEWAY, "output"): ("X_ROUTER_SILENT", "transit gateway"),
    (PRIVATE_GATEWAY, "edge to edge"): ("X_EDGE_TO_EDGE", "virtual private gateway"),
    (PRIVATE_GATEWAY, "input"): ("X_ROUTER_SILENT", "virtual private gateway"),
    (PRIVATE_GATEWAY, "output"): ("X_ROUTER_SILENT", "virtual private gateway"),
}
_TABLES = {table for table, _ in _DROPS}


def name_of(step: NetfilterStep) -> str:
    """What a rule is in the VPC's words; empty for one that is no step of the VPC."""
    if step.family == "bridge":
        return _STEPS.get((step.table, step.chain, step.verdict), "")
    if step.family == "ip" and "nat to " in step.rule:
        return TRANSLATIONS.get(step.table, "")
    if step.family == "ip" and step.table == VPC and step.verdict in _PASSED:
        return _FILTERS.get(step.chain.partition("/")[0], "")
    return ""


def check(name: str, element: NftElement | None, why: str = "") -> FabricStep:
    """A check that was passed, by the element of the set that says so.

    why: the rule, where it says itself what it lets pass.
    """
    if name in FILTERS and why:
        return FabricStep(name=name, text=why, passed=True, why=why)
    if element is None:
        return FabricStep(name=name, text="passed", passed=True)
    text = element.why or element.element.replace('"', "").replace(" . ", ", ")
    return FabricStep(name=name, text=text, passed=True, why=element.why)


def translation(name: str, side: str, packet: Packet, to: int) -> FabricStep:
    """`192.0.2.4 becomes 10.0.101.4`."""
    was = packet.source if side == "source" else packet.destination
    text = f"{address(was)} becomes {address(to)}"
    return FabricStep(name=name, text=text, passed=True)


def routed(rule: Rule, route: Route, passed: Route | None) -> tuple[FabricStep, ...]:
    """A decision of a VPC's router: its route table's entry, then where the address is.

    passed: the entry, of type throw, that leads to the VPC's own ranges.
    """
    if not is_router(route.ns) or route.table == LOCAL:
        return ()
    entries = [passed] if passed else []
    if route.table != ADDRESSES:
        return tuple(_entry(entry, rule) for entry in (*entries, route))
    text = route.why or str(route.dst)
    found = FabricStep(name=MAPPING, text=text, passed=route.kind == "unicast", why=rule.why)
    return (*(_entry(entry, rule) for entry in entries), found)


def _entry(route: Route, rule: Rule) -> FabricStep:
    text = route.why.removeprefix(f"{ROUTE_TABLE} ") or f"{route.table}: {route.dst}"
    passed = route.kind in ("unicast", "throw")
    return FabricStep(name=ROUTE_TABLE, text=text, passed=passed, why=route.why or rule.why)


def is_router(ns: str) -> bool:
    """Whether a namespace is a VPC's router and subnets."""
    return ns.startswith(router(""))


def is_transit_gateway(ns: str) -> bool:
    """Whether a namespace is a transit gateway."""
    return ns.startswith(transit_gateway(""))


def is_hairpin(there: Iterable[str], back: Iterable[str]) -> bool:
    """Whether a load balancer sent a packet to where the answer does not come back through it.

    there, back: namespaces; of an answer inside one node no VPC's router is among them.
    """
    return any(map(is_load_balancer, there)) and not any(map(is_router, back))


def is_load_balancer(ns: str) -> bool:
    """Whether a namespace is a Network Load Balancer, which packets go through."""
    return ns.startswith(network_load_balancer(""))


def drop(step: NetfilterStep, packet: Packet) -> tuple[str, str]:
    """The reason code of a rule or policy that dropped, and the step's name in the VPC's words.

    Both are empty for a rule that is not the fabric's.
    """
    if step.family not in ("bridge", "ip") or step.table not in _TABLES:
        return "", ""
    comment = _comment(step)
    if step.chain.startswith("acl/"):
        return "SUBNET_ACL_RESTRICTION", NETWORK_ACL
    code, name = _DROPS.get((step.table, comment)) or _DROPS.get(
        (step.table, step.chain), ("", "")
    )
    if code == "NGW_REQUIRES_SOURCE_IN_VPC" and packet.state != "new":
        code = "X_NAT_UNSOLICITED"
    return code, name


def refusal(step: NetfilterStep) -> str:
    """Which groups or which entry of an ACL let a packet not pass; empty for another rule.

    The chains are named so: `in/web/tcp/80`, `acl/private/out`.
    """
    first, _, rest = step.chain.partition("/")
    second = rest.partition("/")[0]
    if _FILTERS.get(first) == NETWORK_ACL:
        return f"{_comment(step)} of network ACL {second}, {rest.partition('/')[2]}bound"
    if _FILTERS.get(first) == SECURITY_GROUPS:
        return f"no {first}bound rule of security group {second.replace('.', ' or ')} allows it"
    return ""


def _comment(step: NetfilterStep) -> str:
    return step.rule.partition('comment "')[2].rstrip('"')
