"""The example node as its tools would print it, in both eras; and other settings, and topologies.

eth0 10.10.0.10 has Pod1's 10.10.0.101, eth1 10.10.0.20 has Pod2's 10.10.0.102.
"""

import pytest

from testbed.eks.model import Profile
from testbed.eks.render import example, render, to_text
from tests.eks.render.rendered import rendered, rules

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])


def test_ip_rule_of_the_slides_node() -> None:
    assert rules("slides") == [
        "0: from all lookup local",
        "512: from all to 10.10.0.101 lookup main",
        "512: from all to 10.10.0.102 lookup main",
        "1024: from all fwmark 0x80/0x80 lookup main",
        "1536: from 10.10.0.102 to 10.10.0.0/16 lookup 2",
        "32766: from all lookup main",
        "32767: from all lookup default",
    ]


def test_ip_rule_of_a_node_of_today() -> None:
    assert rules("current") == [
        "0: from all lookup local",
        "512: from all to 10.10.0.101 lookup main",
        "512: from all to 10.10.0.102 lookup main",
        "1024: from all fwmark 0x80/0x80 lookup main",
        "1536: from 10.10.0.102 lookup 2",
        "32765: from 10.10.0.20 lookup 2",
        "32766: from all lookup main",
        "32767: from all lookup default",
    ]


@BOTH
def test_the_tables_are_main_and_one_for_eth1(profile: Profile) -> None:
    assert rendered(profile).tables == {
        "main": (
            "default via 10.10.0.1 dev eth0",
            "10.10.0.0/19 dev eth0 proto kernel scope link src 10.10.0.10",
            "10.10.0.101 dev eni83dbd022cd5 scope link",
            "10.10.0.102 dev enifbd243bfedd scope link",
            "169.254.169.254 dev eth0",
        ),
        "2": ("default via 10.10.0.1 dev eth1", "10.10.0.1 dev eth1 scope link"),
    }


def test_iptables_of_the_slides_node() -> None:
    """`--set-mark 0x80/0x80` and `--restore-mark --mask 0x80`, as iptables-save spells them."""
    assert rendered("slides").iptables.splitlines() == [
        "*mangle",
        '-A PREROUTING -i eth0 -m comment --comment "AWS, primary ENI" -m addrtype'
        " --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark 0x80/0x80",
        '-A PREROUTING -i eni+ -m comment --comment "AWS, primary ENI"'
        " -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
        "COMMIT",
        "*nat",
        ":AWS-SNAT-CHAIN-0 - [0:0]",
        ":AWS-SNAT-CHAIN-1 - [0:0]",
        '-A POSTROUTING -m comment --comment "AWS SNAT CHAN" -j AWS-SNAT-CHAIN-0',
        '-A AWS-SNAT-CHAIN-0 ! -d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAN"'
        " -j AWS-SNAT-CHAIN-1",
        '-A AWS-SNAT-CHAIN-1 -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL'
        " -j SNAT --to-source 10.10.0.10 --random",
        "COMMIT",
    ]


def test_iptables_of_a_node_of_today() -> None:
    assert rendered("current").iptables.splitlines() == [
        "*mangle",
        '-A PREROUTING -i eth0 -m comment --comment "AWS, primary ENI" -m addrtype'
        " --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark 0x80/0x80",
        '-A PREROUTING -i eni+ -m comment --comment "AWS, primary ENI"'
        " -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
        '-A PREROUTING -i vlan+ -m comment --comment "AWS, primary ENI"'
        " -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
        "COMMIT",
        "*nat",
        ":AWS-CONNMARK-CHAIN-0 - [0:0]",
        ":AWS-SNAT-CHAIN-0 - [0:0]",
        '-A POSTROUTING -m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0',
        '-A PREROUTING -i eni+ -m comment --comment "AWS, outbound connections"'
        " -j AWS-CONNMARK-CHAIN-0",
        '-A PREROUTING -m comment --comment "AWS, CONNMARK"'
        " -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
        '-A AWS-CONNMARK-CHAIN-0 -d 10.10.0.0/16 -m comment --comment "AWS CONNMARK CHAIN"'
        " -j RETURN",
        '-A AWS-CONNMARK-CHAIN-0 -m comment --comment "AWS, CONNMARK"'
        " -j CONNMARK --set-xmark 0x80/0x80",
        '-A AWS-SNAT-CHAIN-0 -d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAIN" -j RETURN',
        '-A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype'
        " ! --dst-type LOCAL -j SNAT --to-source 10.10.0.10 --random-fully",
        "COMMIT",
    ]


@pytest.mark.parametrize(
    ("profile", "settings"),
    [
        ("slides", {"accept_ra": "0", "accept_redirects": "0"}),
        ("current", {"accept_ra": "0", "accept_redirects": "1", "forwarding": "0"}),
    ],
)
def test_sysctls_of_the_node_and_of_each_veth(profile: Profile, settings: dict[str, str]) -> None:
    found = rendered(profile).sysctls

    assert found["net.ipv4.conf.eth0.rp_filter"] == "2"
    assert {name: value for name, value in found.items() if "ipv6" in name} == {
        f"net.ipv6.conf.{veth}.{name}": value
        for veth in ("eni83dbd022cd5", "enifbd243bfedd")
        for name, value in settings.items()
    }


@BOTH
def test_a_pod_has_one_address_two_routes_and_a_neighbour(profile: Profile) -> None:
    pod = render(example(profile), "pod-2").pod
    assert pod

    assert pod.addresses == ("inet 10.10.0.102/32 dev eth0",)
    assert pod.routes == (
        "default via 169.254.1.1 dev eth0",
        "169.254.1.1 dev eth0 scope link",
    )
    assert [line.split("lladdr")[0] for line in pod.neighbours] == ["169.254.1.1 dev eth0 "]
    assert [line.split(": ")[0] for line in pod.links] == ["eth0@node-1/enifbd243bfedd"]


def test_sections_are_headed_by_the_command_that_prints_them() -> None:
    text = to_text(rendered("slides"))

    assert text.startswith("# node-1: ip rule\n0:\tfrom all lookup local\n512:")
    assert "\n\n# node-1: ip route show table 2\ndefault via 10.10.0.1 dev eth1\n" in text
    assert "\n\n# pod-1: ip route\ndefault via 169.254.1.1 dev eth0\n" in text


def test_a_node_s_links_and_addresses() -> None:
    """The veths of pods have no address."""
    found = rendered("current", AWS_VPC_ENI_MTU="8000", POD_MTU="1400")

    assert [(link.split("@")[0], link.split("mtu ")[1].split(" ")[0]) for link in found.links] == [
        ("eni83dbd022cd5", "1400"),
        ("enifbd243bfedd", "1400"),
        ("eth0", "8000"),
        ("eth1", "8000"),
    ]
    assert found.addresses == ("inet 10.10.0.10/19 dev eth0", "inet 10.10.0.20/19 dev eth1")
