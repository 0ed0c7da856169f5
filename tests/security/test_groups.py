"""Security groups: what passes between interfaces, by groups, ranges, ports and state."""

from collections.abc import Callable
from ipaddress import IPv4Network

import pytest

from testbed.bed import Bed
from testbed.vpc.security.model import GroupRule, PrefixList, Range, SecurityGroup

pytestmark = pytest.mark.kernel

HTTP, ECHO = 80, 7
ANYWHERE = IPv4Network("0.0.0.0/0")
TCP_80 = Range(HTTP, HTTP)

Become = Callable[..., Bed]

OPEN = SecurityGroup("open", ingress=(GroupRule(cidr=ANYWHERE),))


Reach = tuple[bool, ...]  # whether HTTP, TCP echo and ping get an answer


def reaches(bed: Bed, source: str, destination: str, expected: Reach) -> bool:
    """Whether exactly what is expected gets an answer, which may come late."""
    http, echo, icmp = (bed if answer else bed.briefly for answer in expected)
    found = (
        http.tcp(source, destination, HTTP).delivered,
        echo.tcp(source, destination, ECHO).delivered,
        icmp.ping(source, destination).received == 1,
    )
    return found == expected


ALL, NONE, ONLY_HTTP = (True, True, True), (False, False, False), (True, False, False)


def test_without_groups_nothing_is_filtered(become: Become) -> None:
    bed = become()

    assert reaches(bed, "a-1", "a-2", ALL)
    assert reaches(bed, "a-1", "b-1", ALL)


@pytest.mark.parametrize("other", ["a-2", "b-1"])
def test_a_new_group_lets_nobody_in_even_in_its_own_subnet(become: Become, other: str) -> None:
    """Answers come back all the same: the group remembers whom its interface called."""
    bed = become(groups=(SecurityGroup("new"), OPEN), nodes={"a-1": ("new",), other: ("open",)})

    assert reaches(bed, other, "a-1", NONE)
    assert reaches(bed, "a-1", other, ALL), "control: the answers pass"
    assert bed.path(other, "a-1").code == "SG_HAS_NO_RULES"


@pytest.mark.parametrize("caller", ["a-2", "b-1"])
def test_a_rule_that_names_a_group_is_for_the_addresses_of_its_interfaces(
    become: Become, caller: str
) -> None:
    """A pod's address is a private address of its node's interface, so it counts."""
    web = SecurityGroup("web", ingress=(GroupRule(protocol="tcp", ports=TCP_80, group="client"),))
    bed = become(
        groups=(web, SecurityGroup("client"), OPEN),
        nodes={"a-1": ("web",), caller: ("client",), "b-2": ("open",)},
    )

    assert reaches(bed, caller, "a-1", ONLY_HTTP)
    assert reaches(bed, "b-2", "a-1", NONE), "the other group is not named"
    assert reaches(bed, caller, "b-2", ALL), "control: the caller may call"


def test_two_interfaces_of_one_group_cannot_talk_unless_a_rule_says_so(become: Become) -> None:
    bed = become(groups=(SecurityGroup("same"),), nodes={"a-1": ("same",), "a-2": ("same",)})
    assert reaches(bed, "a-1", "a-2", NONE)

    itself = SecurityGroup("same", ingress=(GroupRule(group="same"),))
    bed = become(groups=(itself,), nodes={"a-1": ("same",), "a-2": ("same",)})
    assert reaches(bed, "a-1", "a-2", ALL)


def test_the_default_group_has_a_rule_for_itself(become: Become) -> None:
    bed = become(
        groups=(OPEN,), nodes={"a-1": ("default",), "b-1": ("default",), "a-2": ("open",)}
    )

    assert reaches(bed, "a-1", "b-1", ALL)
    assert reaches(bed, "a-2", "b-1", NONE)
    assert reaches(bed, "b-1", "a-2", ALL), "out to everywhere"


def test_nodes_that_name_no_group_have_the_cluster_security_group(become: Become) -> None:
    """In from itself: the commonest real failure is a node outside of it."""
    bed = become(groups=(OPEN,), nodes={"b-2": ("open",)})

    assert reaches(bed, "a-1", "b-1", ALL)
    assert reaches(bed, "b-2", "a-1", NONE)
    path = bed.path("b-2", "a-1")
    assert path.code == "ENI_SG_RULES_MISMATCH"
    assert "no inbound rule of security group eks-cluster-sg-eks allows it" in path.verdict


def test_egress_rules_hold_what_an_interface_begins(become: Become) -> None:
    """Not what it answers."""
    closed = SecurityGroup("closed", ingress=(GroupRule(cidr=ANYWHERE),), egress=())
    bed = become(groups=(closed, OPEN), nodes={"a-1": ("closed",), "b-1": ("open",)})

    assert reaches(bed, "a-1", "b-1", NONE)
    assert bed.path("a-1", "b-1").code == "SG_HAS_NO_RULES"
    assert reaches(bed, "b-1", "a-1", ALL), "answers are not begun here"


def test_all_groups_of_an_interface_count_together(become: Become) -> None:
    http = SecurityGroup("http", ingress=(GroupRule(protocol="tcp", ports=TCP_80, cidr=ANYWHERE),))
    ping = SecurityGroup("ping", ingress=(GroupRule(protocol="icmp", icmp_type=8, cidr=ANYWHERE),))
    bed = become(groups=(http, ping, OPEN), nodes={"a-1": ("http", "ping"), "a-2": ("open",)})

    assert reaches(bed, "a-2", "a-1", (True, False, True))


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        (80, 80, ONLY_HTTP),
        (79, 80, ONLY_HTTP),
        (80, 81, ONLY_HTTP),
        (81, 65535, NONE),
        (8, 79, NONE),
        (7, 80, (True, True, False)),
        (0, 7, (False, True, False)),
    ],
)
def test_ports_are_ranges_with_both_ends(
    become: Become, first: int, last: int, found: tuple[bool, ...]
) -> None:
    rule = GroupRule(protocol="tcp", ports=Range(first, last), cidr=IPv4Network("10.0.0.0/16"))
    bed = become(
        groups=(SecurityGroup("web", ingress=(rule,)), OPEN),
        nodes={"a-1": ("web",), "a-2": ("open",)},
    )

    assert reaches(bed, "a-2", "a-1", found)


def test_rules_that_overlap_allow_what_any_of_them_allows(become: Become) -> None:
    """A wide range for one subnet, one port for all, everything for one address."""
    web = SecurityGroup(
        "web",
        ingress=(
            GroupRule(protocol="tcp", ports=Range(1, 100), cidr=IPv4Network("10.0.2.0/24")),
            GroupRule(protocol="tcp", ports=TCP_80, cidr=IPv4Network("10.0.0.0/16")),
            GroupRule(protocol="tcp", ports=TCP_80, cidr=IPv4Network("10.0.0.0/8")),
            GroupRule(group="admin"),
        ),
    )
    bed = become(
        groups=(web, SecurityGroup("admin"), OPEN),
        nodes={"a-1": ("web",), "a-2": ("open",), "b-1": ("open",), "b-2": ("admin",)},
    )

    assert reaches(bed, "a-2", "a-1", ONLY_HTTP)
    assert reaches(bed, "b-1", "a-1", (True, True, False))
    assert reaches(bed, "b-2", "a-1", ALL)


def test_a_prefix_list_stands_for_its_ranges(become: Become) -> None:
    both = PrefixList("both", (IPv4Network("10.0.2.0/24"), IPv4Network("192.0.2.0/24")))
    web = SecurityGroup("web", ingress=(GroupRule(prefix_list="both"),))
    bed = become(
        groups=(web, OPEN),
        lists=(both,),
        nodes={"a-1": ("web",), "a-2": ("open",), "b-1": ("open",)},
    )

    assert reaches(bed, "b-1", "a-1", ALL)
    assert reaches(bed, "a-2", "a-1", NONE)


def test_the_resolver_is_not_filtered(become: Become) -> None:
    """AWS: neither groups nor ACLs see the Amazon DNS server (VPC User Guide)."""
    closed = SecurityGroup("closed", ingress=(), egress=())
    bed = become(groups=(closed, OPEN), nodes={"a-1": ("closed",)})

    asked = bed.run("a-1", "getent", "ahostsv4", "ip-10-0-1-4.us-west-2.compute.internal")
    assert asked.stdout.startswith("10.0.1.4"), asked
    assert reaches(bed, "a-1", "b-1", NONE), "control: everything else is closed"
