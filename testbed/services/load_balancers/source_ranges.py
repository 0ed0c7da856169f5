"""loadBalancerSourceRanges where a VPC describes no security groups, which do it at AWS.

Who is in none of the ranges is met with silence, as by a security group.
"""

from collections.abc import Iterator

from testbed.kubernetes.load_balancers.clients import client_ranges
from testbed.kubernetes.model import Service
from testbed.net.facts import ChainRule, Fact, NftElement, NftSet
from testbed.vpc.checks.ranges import widest
from testbed.vpc.fabric.load_balancers import SOURCE_RANGES

FAMILY = "ip"
CLIENTS = "source-ranges"  # the set


def limits_clients(service: Service) -> bool:
    """Whether not everybody may call a Service's load balancer."""
    ranges = client_ranges(service)
    return bool(ranges) and all(network.prefixlen for network in ranges)


def range_facts(ns: str, table: str, service: Service) -> Iterator[Fact]:
    """The set of a Service's clients."""
    why = f"clients of Service {service.qualified}: loadBalancerSourceRanges"
    yield NftSet(
        ns=ns,
        family=FAMILY,
        table=table,
        name=CLIENTS,
        key_type="ipv4_addr",
        flags="interval",
        why=why,
    )
    for network in widest(client_ranges(service)):
        alone = network.prefixlen == network.max_prefixlen
        element = str(network.network_address if alone else network)
        yield NftElement(ns=ns, family=FAMILY, table=table, set=CLIENTS, element=element, why=why)


def range_rule(match: str) -> ChainRule:
    """What keeps others out.  match: whose packets."""
    text = f'{match} ip saddr != @{CLIENTS} counter drop comment "{SOURCE_RANGES}"'
    return ChainRule(text, "in place of a security group: no client of loadBalancerSourceRanges")
