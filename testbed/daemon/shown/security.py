"""What `get` shows of security groups and network ACLs.  Pure."""

from collections.abc import Callable, Iterator
from typing import Any

from testbed.allocations import Allocations
from testbed.lab import Lab
from testbed.plan import vpcs
from testbed.plan.security import memberships
from testbed.vpc.security.groups import groups_of
from testbed.vpc.security.model import DEFAULT, AclEntry, GroupRule

Row = dict[str, Any]


def group_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Every security group, those made for clusters too, with its rules and network interfaces."""
    carried = memberships(lab)
    for vpc in vpcs(lab, allocations).values():
        for group in vpc.security_groups:
            yield {
                "name": group.name,
                "vpc": vpc.name,
                "ingress": [_rule(rule) for rule in group.allows_in],
                "egress": [_rule(rule) for rule in group.allows_out],
                "interfaces": [
                    eni.id
                    for eni in allocations.enis
                    if eni.vpc == vpc.name and group.name in groups_of(eni, carried)
                ],
            }


def acl_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Every network ACL that is described, with its entries and subnets."""
    for vpc in lab.vpcs:
        for acl in vpc.network_acls:
            yield {
                "name": acl.name,
                "vpc": vpc.name,
                "ingress": [_entry(entry) for entry in _in_order(acl.ingress)],
                "egress": [_entry(entry) for entry in _in_order(acl.egress)],
                "subnets": [
                    subnet.name for subnet in vpc.subnets if subnet.network_acl == acl.name
                ],
                "isDefault": acl.name == DEFAULT,
            }


def _rule(rule: GroupRule) -> str:
    return f"{rule.named} {rule.peer}"


def _entry(entry: AclEntry) -> str:
    return f"{entry.rule_number} {entry.action} {entry.named} {entry.cidr}"


def _in_order(entries: tuple[AclEntry, ...]) -> list[AclEntry]:
    return sorted(entries, key=lambda entry: entry.rule_number)


SECURITY_KINDS: dict[str, Callable[[Lab, Allocations], Iterator[Row]]] = {
    "securitygroups": group_rows,
    "networkacls": acl_rows,
}
