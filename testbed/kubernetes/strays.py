"""What tells, where packets for a cluster's own ranges end, why they came so far.  Pure.

Pods' and Services' addresses are no ENI's.  A packet for one that nothing routes or translates
takes the default route to the internet gateway, which drops it in any case.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from testbed.net.facts import ChainRule, NftChain
from testbed.vpc.fabric.internet_gateway import INSIDE
from testbed.vpc.model import Vpc
from testbed.vpc.naming import POD_RANGE, SERVICE_RANGE, internet_gateway


def stray_facts(
    cluster: str, vpc: Vpc, services: IPv4Network, pods: Iterable[ChainRule] = ()
) -> Iterator[NftChain]:
    """The chain in the VPC's internet gateway, if it has one.

    pods: the rules for their addresses, where these are not the VPC's.
    """
    if vpc.internet_gateway:
        yield NftChain(
            ns=internet_gateway(vpc.name),
            family="ip",
            table="igw",
            name=f"strays-{cluster}",
            hook="type filter hook prerouting priority raw - 10; policy accept;",
            rules=(*pods, stray(services, SERVICE_RANGE, "no rule of kube-proxy translated it")),
            why="addresses of the cluster that are nobody's in the VPC",
        )


def pod_range(pods: IPv4Network) -> ChainRule:
    """The rule for the pods' whole range."""
    return stray(pods, POD_RANGE, "no route of the VPC leads to its node")


def stray(range_: IPv4Network, comment: str, why: str) -> ChainRule:
    """A rule for what came from inside."""
    return ChainRule(f'iifname "{INSIDE}" ip daddr {range_} counter drop comment "{comment}"', why)
