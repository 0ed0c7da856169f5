"""What AWS refuses of groups and ACLs: its code, and the file's line and key."""

from textwrap import dedent, indent

import pytest

from testbed.errors import DescriptionError
from testbed.load import parse

HEAD = """\
testbed: v1
name: refused
vpcs:
  main:
    cidrs: [10.0.0.0/16]
"""


def refused(described: str, subnet: str = "", node: str = "") -> tuple[str, int, str]:
    """The message, the line and the key of the first problem."""
    body = indent(dedent(described), " " * 4)
    tail = f"""\
    subnets:
      a: {{ cidr: 10.0.1.0/24, availabilityZone: us-west-2a{subnet} }}
      b: {{ cidr: 10.0.2.0/24, availabilityZone: us-west-2b }}
clusters:
  eks:
    vpc: main
    nodes:
      node-1: {{ subnet: a, instanceType: t3.small{node} }}
"""
    with pytest.raises(DescriptionError) as error:
        parse(HEAD + body + tail, "lab.yaml")
    where = error.value.where
    return str(error.value), where.line, where.key


def group(*rules: str, side: str = "ingress") -> str:
    """A group `web` with these rules."""
    return (
        "securityGroups:\n  web:\n" + f"    {side}:\n" + "".join(f"      - {r}\n" for r in rules)
    )


@pytest.mark.parametrize(
    ("rule", "code", "key"),
    [
        ("{ group: nobody }", "InvalidGroup.NotFound", "group"),
        ("{ prefixList: nothing }", "InvalidPrefixListID.NotFound", "prefixList"),
        ("{ protocol: tcp, ports: 90-80, cidr: 0.0.0.0/0 }", "InvalidParameterValue", "ports"),
        ("{ protocol: icmp, ports: 80, cidr: 0.0.0.0/0 }", "only TCP and UDP", "ports"),
        ("{ protocol: tcp, icmpType: 8, cidr: 0.0.0.0/0 }", "only ICMP", "icmpType"),
        ("{ protocol: icmp, icmpCode: 4, cidr: 0.0.0.0/0 }", "InvalidParameterValue", "icmpCode"),
        ("{ protocol: icmp, icmpType: 256, cidr: 0.0.0.0/0 }", "(InvalidParameterV", "icmpType"),
        ("{ protocol: tcp, ports: 65536, cidr: 0.0.0.0/0 }", "(InvalidParameterValue)", "ports"),
        ("{ protocol: tcp, ports: x, cidr: 0.0.0.0/0 }", "expected a port", "ports"),
        ("{ protocol: ipx, cidr: 0.0.0.0/0 }", "(InvalidParameterValue)", "protocol"),
        ("{ protocol: true, cidr: 0.0.0.0/0 }", "expected tcp, udp, icmp", "protocol"),
        ("{ protocol: 256, cidr: 0.0.0.0/0 }", "expected tcp, udp, icmp", "protocol"),
        ("{ cidr: 10.0.0.0/16, description: 'its client''s' }", "InvalidP", "description"),
        (f"{{ cidr: 10.0.0.0/16, description: {'x' * 256} }}", "InvalidP", "description"),
        ("{ cidr: 10.0.0.5/16 }", "write 10.0.0.0/16", "cidr"),
    ],
)
def test_a_rule_that_cannot_be(rule: str, code: str, key: str) -> None:
    message, line, where = refused(group(rule))

    assert code in message
    assert (line, where) == (9, f"vpcs.main.securityGroups.web.ingress[0].{key}")


@pytest.mark.parametrize("rule", ["{}", "{ cidr: 10.0.0.0/8, group: web }", "{ protocol: tcp }"])
def test_a_rule_has_one_peer(rule: str) -> None:
    message, line, _ = refused(group(rule, side="egress"))

    assert "expected one of cidr, group and prefixList" in message
    assert line == 9


def test_a_rule_is_there_once() -> None:
    """Port 80 to 80 is what it was before."""
    rules = (
        "{ protocol: tcp, ports: 80, group: web }",
        '{ protocol: 6, ports: "80-80", group: web }',
    )
    message, line, key = refused(group(*rules))

    assert "(InvalidPermission.Duplicate)" in message
    assert (line, key) == (10, "vpcs.main.securityGroups.web.ingress[1]")


def test_sixty_rules_are_the_most_and_prefix_lists_count_for_their_size() -> None:
    many = [f"{{ protocol: tcp, ports: {port}, group: web }}" for port in range(1, 62)]
    message, _, key = refused(group(*many))
    assert "(RulesPerSecurityGroupLimitExceeded)" in message
    assert key == "vpcs.main.securityGroups.web.ingress"

    lists = "prefixLists:\n  few: { entries: [192.0.2.0/24], maxEntries: 61 }\n"
    message, _, _ = refused(lists + group("{ prefixList: few }"))
    assert "at most 60 ingress rules, not 61" in message


@pytest.mark.parametrize(
    ("node", "code"),
    [
        ("[web, nobody]", "InvalidGroup.NotFound"),
        ("[web, web]", "InvalidParameterValue"),
        ("[web, default, g-1, g-2, g-3, g-4]", "SecurityGroupsPerInterfaceLimitExceeded"),
    ],
)
def test_groups_of_a_node(node: str, code: str) -> None:
    groups = "securityGroups:\n  web:\n" + "".join(f"  g-{i}:\n" for i in range(1, 5))
    message, line, key = refused(groups, node=f", securityGroups: {node}")

    assert f"({code})" in message
    assert key.startswith("clusters.eks.nodes.node-1.securityGroups")
    assert line == 19


def test_a_node_names_no_group_where_none_is_described() -> None:
    """Not even the cluster's: nothing would be filtered."""
    message, _, _ = refused("", node=", securityGroups: [default]")

    assert "(InvalidGroup.NotFound)" in message


def test_names_that_are_ids() -> None:
    message, _, _ = refused("securityGroups: { sg-0123: }\n")

    assert "Group names may not be in the format sg-* (InvalidParameterValue)" in message


def acl(*entries: str) -> str:
    return "networkAcls:\n  web:\n    ingress:\n" + "".join(f"      - {e}\n" for e in entries)


@pytest.mark.parametrize(
    ("entries", "code", "key"),
    [
        (["{ ruleNumber: 0, cidr: 0.0.0.0/0, action: allow }"], "", "ruleNumber"),
        (["{ ruleNumber: 32767, cidr: 0.0.0.0/0, action: allow }"], "", "ruleNumber"),
        (["{ ruleNumber: 1, cidr: 0.0.0.0/0, action: drop }"], "", "action"),
        (["{ ruleNumber: 1, action: deny }"], "", "cidr"),
        (
            [f"{{ ruleNumber: 7, cidr: 10.{i}.0.0/16, action: deny }}" for i in range(2)],
            "(NetworkAclEntryAlreadyExists)",
            "ruleNumber",
        ),
        (
            [f"{{ ruleNumber: {i}, cidr: 0.0.0.0/0, action: deny }}" for i in range(1, 22)],
            "(NetworkAclEntryLimitExceeded)",
            "ingress",
        ),
    ],
)
def test_entries_of_an_acl(entries: list[str], code: str, key: str) -> None:
    message, _, where = refused(acl(*entries))

    assert code in message
    assert where.startswith("vpcs.main.networkAcls.web.ingress")
    assert where.endswith(key)


def test_a_subnet_has_an_acl_that_is_there() -> None:
    message, line, key = refused("", subnet=", networkAcl: web")

    assert "(InvalidNetworkAclID.NotFound)" in message
    assert (line, key) == (7, "vpcs.main.subnets.a.networkAcl")
