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
    """What decides about packets between ENIs; where nothing is described, everything passes."""
    ns, enis = router(vpc.name), tuple(enis)
    guarded = bool(vpc.security_groups)
    stages: Mapping[str, tuple[ChainRule, ...]] = {
        "security-groups-out": tracking.stage("out") if guarded else (),
        "network-acls": acls.stage(vpc, around.attached),
        "security-groups-in": tracking.stage("in") if guarded else (),
    }
    exempt = tuple(_exempt()) if any(stages.values()) else ()
    yield NftChain(
        ns=ns,
        family=FAMILY,
        table=TABLE,
        name="forward",
        hook=FORWARD,
        rules=(*exempt, *[ChainRule(f"jump {stage}") for stage in stages]),
    )
    for stage, rules in stages.items():
        yield NftChain(ns=ns, family=FAMILY, table=TABLE, name=stage, rules=rules)
    yield from group_facts(vpc, enis, groups, around.peers)
    yield from acls.acl_facts(vpc, enis, around.attached)


def _exempt() -> Iterator[ChainRule]:
    why = "no group or ACL filters Amazon's own services (VPC User Guide, network ACL basics)"
    for device in ("iifname", "oifname"):
        yield ChainRule(f'{device} "{RESOLVER_DEVICE}" accept', why)
