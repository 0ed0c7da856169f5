"""What AWS would refuse of security groups, prefix lists and network ACLs.

Paths start at the VPC.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from testbed.description import duplicates
from testbed.description.problem import Path, Problem, Problems, names, quoted, unknown
from testbed.vpc.model import Vpc
from testbed.vpc.security.model import (
    DEFAULT,
    PORTED,
    AclEntries,
    GroupRule,
    NetworkAcl,
    SecurityGroup,
    Traffic,
)

# Amazon VPC quotas, the defaults
MOST_RULES = 60  # of a group in one direction
MOST_GROUPS = 5  # of a network interface
DESCRIPTION = r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}"
MOST_ACLS = 200  # of a VPC
MOST_ENTRIES = 20  # of an ACL in one direction


def problems(
    vpc: Vpc,
    made: Collection[str],
    elsewhere: Collection[str] = (),
    inbound: Collection[str] = (),
) -> Problems:
    """Everything wrong with them.

    made: groups that the VPC has besides the described ones.  elsewhere: those of peered VPCs
    that rules may name, as `VPC/GROUP`; inbound: those that inbound rules alone may name.
    """
    out = {*group_names(vpc, made), *elsewhere}
    known = {"ingress": {*out, *inbound}, "egress": out}
    yield from _prefix_lists(vpc)
    for twice in duplicates(group.name for group in vpc.security_groups):
        message = f"The security group {quoted(twice)} already exists for VPC {quoted(vpc.name)}"
        yield Problem(("securityGroups", twice), message, "InvalidGroup.Duplicate")
    for group in vpc.security_groups:
        found = *_name(group, made), *_description(group.description), *_group(vpc, group, known)
        for problem in found:
            yield problem.under("securityGroups", group.name)
    yield from _acls(vpc)


def interface_problems(groups: Sequence[str], vpc: Vpc, made: Collection[str]) -> Problems:
    """Everything wrong with the groups of a network interface; paths start at their list."""
    known = group_names(vpc, made) if vpc.security_groups else set()
    for i, name in enumerate(groups):
        if name not in known:
            yield Problem((i,), unknown("security group", name, known), "InvalidGroup.NotFound")
    for twice in duplicates(groups):
        message = f"the interface has the group {quoted(twice)} twice"
        yield Problem((), message, "InvalidParameterValue")
    if len(groups) > MOST_GROUPS:
        message = f"an interface has at most {MOST_GROUPS} security groups, not {len(groups)}"
        yield Problem((), message, "SecurityGroupsPerInterfaceLimitExceeded")


def group_names(vpc: Vpc, made: Collection[str]) -> set[str]:
    """The groups of a VPC that describes any."""
    return {*made, DEFAULT, *(group.name for group in vpc.security_groups)}


def _name(group: SecurityGroup, made: Collection[str]) -> Problems:
    if group.name in made:
        return  # one that is made, described with other rules
    yield from names((), group.name)
    if group.name.startswith("sg-"):
        message = "Group names may not be in the format sg-*"
        yield Problem((), message, "InvalidParameterValue")


def _description(text: str) -> Problems:
    """Of a group or a rule; the words are EC2's for a rule."""
    if not re.fullmatch(DESCRIPTION, text):
        message = (
            "Invalid rule description. Valid descriptions are strings less than 256 characters"
            f" from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{{}}!$*; found {quoted(text)}"
        )
        yield Problem(("description",), message, "InvalidParameterValue")


def _group(vpc: Vpc, group: SecurityGroup, known: Mapping[str, Collection[str]]) -> Problems:
    for key, rules in (("ingress", group.allows_in), ("egress", group.allows_out)):
        for i, rule in enumerate(rules):
            found = *_peer(vpc, rule, known[key]), *_traffic(rule), *_twice(rules, i)
            if rule.group in known["ingress"] and rule.group not in known[key]:
                message = (
                    f"through a transit gateway inbound rules alone name {quoted(rule.group)}"
                )
                found = (Problem(("group",), message, "InvalidGroup.NotFound"),)
            for problem in (*found, *_description(rule.description)):
                yield problem.under(key, i)
        count = sum(_weight(vpc, rule) for rule in rules)
        if count > MOST_RULES:
            message = f"a security group has at most {MOST_RULES} {key} rules, not {count}"
            yield Problem((key,), message, "RulesPerSecurityGroupLimitExceeded")


def _peer(vpc: Vpc, rule: GroupRule, known: Collection[str]) -> Problems:
    lists = [one.name for one in vpc.prefix_lists]
    peers = {"cidr": rule.cidr, "group": rule.group, "prefixList": rule.prefix_list}
    given = [key for key, value in peers.items() if value]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        yield Problem((), f"expected one of cidr, group and prefixList, found {found}")
    if rule.group and rule.group not in known:
        message = unknown("security group", rule.group, known)
        yield Problem(("group",), message, "InvalidGroup.NotFound")
    if rule.prefix_list and rule.prefix_list not in lists:
        message = unknown("prefix list", rule.prefix_list, lists)
        yield Problem(("prefixList",), message, "InvalidPrefixListID.NotFound")


def _traffic(rule: Traffic) -> Problems:
    ports = rule.ports
    if ports and rule.protocol not in PORTED:
        yield Problem(("ports",), f"only TCP and UDP have ports, not {quoted(rule.protocol)}")
    if ports and ports.first > ports.last:
        message = f"Invalid TCP/UDP port range ({ports.first}:{ports.last})"
        yield Problem(("ports",), message, "InvalidParameterValue")
    if rule.protocol != "icmp" and (rule.icmp_type, rule.icmp_code) != (-1, -1):
        key = "icmpType" if rule.icmp_type != -1 else "icmpCode"
        yield Problem((key,), "only ICMP has types and codes; say `protocol: icmp`")
    elif rule.icmp_type < 0 <= rule.icmp_code:
        message = "a code is of one type: give the icmpType too"
        yield Problem(("icmpCode",), message, "InvalidParameterValue")


def _twice(rules: Sequence[GroupRule], i: int) -> Problems:
    """A rule that is there already, whatever its description."""
    if any(_same(rules[i], other) for other in rules[:i]):
        message = (
            f"the specified rule {quoted(f'{rules[i].named} {rules[i].peer}')} already exists"
        )
        yield Problem((), message, "InvalidPermission.Duplicate")


def _same(one: GroupRule, other: GroupRule) -> bool:
    return (one.protocol, one.numbers, one.peer) == (other.protocol, other.numbers, other.peer)


def _weight(vpc: Vpc, rule: GroupRule) -> int:
    """How many rules it counts for: a prefix list counts as often as it may have entries."""
    weights = {one.name: one.max_entries or len(one.entries) for one in vpc.prefix_lists}
    return weights.get(rule.prefix_list, 1)


def _prefix_lists(vpc: Vpc) -> Problems:
    for twice in duplicates(one.name for one in vpc.prefix_lists):
        yield Problem(("prefixLists", twice), f"there are two prefix lists {quoted(twice)}")
    for one in vpc.prefix_lists:
        path: Path = ("prefixLists", one.name)
        yield from names(path, one.name)
        if one.max_entries and len(one.entries) > one.max_entries:
            message = f"the prefix list has {len(one.entries)} entries, more than its maxEntries"
            yield Problem((*path, "entries"), message, "PrefixListMaxEntriesExceeded")
        for twice in duplicates(map(str, one.entries)):
            yield Problem((*path, "entries"), f"the entry {twice} is there twice")


def _acls(vpc: Vpc) -> Problems:
    known = {DEFAULT, *(acl.name for acl in vpc.network_acls)}
    for twice in duplicates(acl.name for acl in vpc.network_acls):
        yield Problem(("networkAcls", twice), f"there are two network ACLs {quoted(twice)}")
    for acl in vpc.network_acls:
        for problem in (*names((), acl.name), *_acl(acl)):
            yield problem.under("networkAcls", acl.name)
    if len(vpc.network_acls) > MOST_ACLS:
        message = f"a VPC has at most {MOST_ACLS} network ACLs"
        yield Problem(("networkAcls",), message, "NetworkAclLimitExceeded")
    for subnet in vpc.subnets:
        if subnet.network_acl not in known:
            message = unknown("network ACL", subnet.network_acl, known)
            path = ("subnets", subnet.name, "networkAcl")
            yield Problem(path, message, "InvalidNetworkAclID.NotFound")


def _acl(acl: NetworkAcl) -> Problems:
    for key, entries in (("ingress", acl.ingress), ("egress", acl.egress)):
        for i, entry in enumerate(entries):
            for problem in (*_number(entries, i), *_traffic(entry)):
                yield problem.under(key, i)
        if len(entries) > MOST_ENTRIES:
            message = f"a network ACL has at most {MOST_ENTRIES} {key} rules, not {len(entries)}"
            yield Problem((key,), message, "NetworkAclEntryLimitExceeded")


def _number(entries: AclEntries, i: int) -> Problems:
    number = entries[i].rule_number
    if any(entry.rule_number == number for entry in entries[:i]):
        message = f"The network acl entry identified by {number} already exists."
        yield Problem(("ruleNumber",), message, "NetworkAclEntryAlreadyExists")
