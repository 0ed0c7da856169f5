"""The router's forward chain: security groups of the sender, network ACLs, groups of the receiver.

forward   jump security-groups-out      the order a packet meets them in (VPC User Guide)
          jump network-acls
          jump security-groups-in
"""

from collections.abc import Iterable, Iterator, Mapping

from testbed.net.facts import ChainRule, Fact, NftChain
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.surroundings import Surroundings
from testbed.vpc.model import Vpc
from testbed.vpc.naming import RESOLVER_DEVICE, router
from testbed.vpc.security import acls, tracking
from testbed.vpc.security.groups import Memberships, group_facts

FAMILY, TABLE = "ip", "vpc"
FORWARD = "type filter hook forward priority filter; policy accept;"


def forward_facts(
    vpc: Vpc, enis: Iterable[Eni], groups: Memberships, around: Surroundings
) -> Iterator[Fact]:
    """What decides about packets between ENIs; where nothing is described, no chain is asked."""
    ns, enis = router(vpc.name), tuple(enis)
    stages = {name: rules for name, rules in _stages(vpc, around).items() if rules}
    if stages:
        rules = (*_exempt(), *[ChainRule(f"jump {stage}") for stage in stages])
        yield NftChain(
            ns=ns, family=FAMILY, table=TABLE, name="forward", hook=FORWARD, rules=rules
        )
    for stage, rules in stages.items():
        yield NftChain(ns=ns, family=FAMILY, table=TABLE, name=stage, rules=rules)
    yield from group_facts(vpc, enis, groups, around.peers)
    yield from acls.acl_facts(vpc, enis, around.attached)


def _stages(vpc: Vpc, around: Surroundings) -> Mapping[str, tuple[ChainRule, ...]]:
    """By name the stages and their rules; without rules where the VPC describes no such thing."""
    guarded = bool(vpc.security_groups)
    return {
        "security-groups-out": tracking.stage("out") if guarded else (),
        "network-acls": acls.stage(vpc, around.attached),
        "security-groups-in": tracking.stage("in") if guarded else (),
    }


def _exempt() -> Iterator[ChainRule]:
    why = "no group or ACL filters Amazon's own services (VPC User Guide, network ACL basics)"
    for device in ("iifname", "oifname"):
        yield ChainRule(f'{device} "{RESOLVER_DEVICE}" accept', why)
