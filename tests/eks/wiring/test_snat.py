"""The CNI's iptables rules as `iptables-save` prints them, for both eras and every setting."""

import pytest

from testbed.net.facts import Chain, ChainPiece, Fact, NftChain

TWO_RANGES = ("10.10.0.0/16", "100.64.0.0/16")


def chain(found: frozenset[Fact], table: str, name: str) -> list[str] | None:
    """The rules the CNI has in a chain, or None if it neither made it nor wrote into it."""
    for fact in found:
        match fact:
            case Chain(table=in_table, name=called) | ChainPiece(table=in_table, chain=called):
                if (in_table, called) == (table, name):
                    return [rule.text for rule in fact.rules]
    return None


def test_nat_chains_of_the_slides_node(facts):
    found = facts("slides", TWO_RANGES)

    assert chain(found, "nat", "POSTROUTING") == [
        '-m comment --comment "AWS SNAT CHAN" -j AWS-SNAT-CHAIN-0'
    ]
    assert chain(found, "nat", "AWS-SNAT-CHAIN-0") == [
        '! -d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAN" -j AWS-SNAT-CHAIN-1'
    ]
    assert chain(found, "nat", "AWS-SNAT-CHAIN-1") == [
        '! -d 100.64.0.0/16 -m comment --comment "AWS SNAT CHAN" -j AWS-SNAT-CHAIN-2'
    ]
    assert chain(found, "nat", "AWS-SNAT-CHAIN-2") == [
        '-m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL '
        "-j SNAT --to-source 10.10.0.10 --random"
    ]
    assert chain(found, "nat", "PREROUTING") is None


def test_with_an_exclusion_the_slides_node_is_a_v1_6_and_spells_better(facts):
    found = facts("slides", AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS="192.168.0.0/16")

    assert chain(found, "nat", "POSTROUTING") == [
        '-m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0'
    ]
    assert chain(found, "nat", "AWS-SNAT-CHAIN-1") == [
        '! -d 192.168.0.0/16 -m comment --comment "AWS SNAT CHAIN EXCLUSION" -j AWS-SNAT-CHAIN-2'
    ]


def test_external_snat_leaves_the_slides_node_its_chains_but_empty(facts):
    found = facts("slides", AWS_VPC_K8S_CNI_EXTERNALSNAT=True)

    assert chain(found, "nat", "POSTROUTING") is None
    assert chain(found, "nat", "AWS-SNAT-CHAIN-0") == []
    assert chain(found, "nat", "AWS-SNAT-CHAIN-1") == []


def test_nat_chains_of_a_node_of_today_stand_in_reverse(facts):
    found = facts("current", TWO_RANGES, AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS="192.168.0.0/16")

    assert chain(found, "nat", "POSTROUTING") == [
        '-m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0'
    ]
    assert chain(found, "nat", "AWS-SNAT-CHAIN-0") == [
        '-d 192.168.0.0/16 -m comment --comment "AWS SNAT CHAIN EXCLUSION" -j RETURN',
        '-d 100.64.0.0/16 -m comment --comment "AWS SNAT CHAIN" -j RETURN',
        '-d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAIN" -j RETURN',
        '! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL '
        "-j SNAT --to-source 10.10.0.10 --random-fully",
    ]
    assert chain(found, "nat", "PREROUTING") == [
        '-i eni+ -m comment --comment "AWS, outbound connections" -j AWS-CONNMARK-CHAIN-0',
        '-m comment --comment "AWS, CONNMARK" -j CONNMARK --restore-mark '
        "--nfmask 0x80 --ctmask 0x80",
    ]
    assert chain(found, "nat", "AWS-CONNMARK-CHAIN-0") == [
        '-d 192.168.0.0/16 -m comment --comment "AWS CONNMARK CHAIN" -j RETURN',
        '-d 100.64.0.0/16 -m comment --comment "AWS CONNMARK CHAIN" -j RETURN',
        '-d 10.10.0.0/16 -m comment --comment "AWS CONNMARK CHAIN" -j RETURN',
        '-m comment --comment "AWS, CONNMARK" -j CONNMARK --set-xmark 0x80/0x80',
    ]


def test_external_snat_today_leaves_one_empty_chain_and_no_marks(facts):
    found = facts(
        "current",
        AWS_VPC_K8S_CNI_EXTERNALSNAT=True,
        AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS="192.168.0.0/16",
    )

    assert chain(found, "nat", "POSTROUTING") is None
    assert chain(found, "nat", "PREROUTING") is None
    assert chain(found, "nat", "AWS-SNAT-CHAIN-0") == []
    assert chain(found, "nat", "AWS-CONNMARK-CHAIN-0") is None


def test_everything_excluded_is_written_as_the_kernel_lists_it(facts):
    """`-d 0.0.0.0/0` is not printed, and `! -d 0.0.0.0/0` cannot be loaded."""
    everything = {"AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "0.0.0.0/0"}

    today = chain(facts("current", **everything), "nat", "AWS-CONNMARK-CHAIN-0")
    then = chain(facts("slides", **everything), "nat", "AWS-SNAT-CHAIN-1")

    assert today is not None
    assert today[0] == '-m comment --comment "AWS CONNMARK CHAIN" -j RETURN'
    assert then == []


@pytest.mark.parametrize(
    ("profile", "setting", "ending"),
    [
        ("slides", "", "10.10.0.10 --random"),
        ("slides", "prng", "10.10.0.10 --random-fully"),
        ("current", "", "10.10.0.10 --random-fully"),
        ("current", "hashrandom", "10.10.0.10 --random"),
        ("current", "none", "10.10.0.10"),
    ],
)
def test_how_ports_are_chosen_is_a_setting(facts, profile, setting, ending):
    found = facts(profile, AWS_VPC_K8S_CNI_RANDOMIZESNAT=setting)
    last = "AWS-SNAT-CHAIN-1" if profile == "slides" else "AWS-SNAT-CHAIN-0"

    snat = chain(found, "nat", last)

    assert snat is not None
    assert snat[-1].endswith(f"--to-source {ending}")


ARRIVED = (
    '-i eth0 -m comment --comment "AWS, primary ENI" -m addrtype --dst-type LOCAL '
    "--limit-iface-in -j CONNMARK --set-xmark 0x80/0x80"
)
RESTORED = (
    '-i eni+ -m comment --comment "AWS, primary ENI" '
    "-j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80"
)
RESTORED_VLAN = RESTORED.replace("eni+", "vlan+")


@pytest.mark.parametrize(
    ("profile", "node_port", "external", "expected"),
    [
        ("slides", True, False, [ARRIVED, RESTORED]),
        ("slides", False, False, None),
        ("current", True, False, [ARRIVED, RESTORED, RESTORED_VLAN]),
        ("current", True, True, [ARRIVED, RESTORED, RESTORED_VLAN]),
        ("current", False, False, [RESTORED]),
        ("current", False, True, None),
    ],
)
def test_mangle_marks_node_ports_and_restores_for_pods(
    facts, profile, node_port, external, expected
):
    found = facts(
        profile,
        AWS_VPC_CNI_NODE_PORT_SUPPORT=node_port,
        AWS_VPC_K8S_CNI_EXTERNALSNAT=external,
    )

    assert chain(found, "mangle", "PREROUTING") == expected


def test_mark_and_prefix_are_settings_and_v1_5_forgets_the_prefix_in_mangle(facts):
    env = {"AWS_VPC_K8S_CNI_CONNMARK": 0x100, "AWS_VPC_K8S_CNI_VETHPREFIX": "pod"}

    today = chain(facts("current", **env), "mangle", "PREROUTING")
    then = chain(facts("slides", **env), "mangle", "PREROUTING")

    assert today is not None
    assert today[1].startswith("-i pod+")
    assert today[1].endswith("--nfmask 0x100 --ctmask 0x100")
    assert then is not None
    assert then[1].startswith("-i eni+")


def exempt(found: frozenset[Fact], name: str) -> list[str]:
    """A chain of nat without its last rule."""
    return (chain(found, "nat", name) or [])[:-1]


def test_a_range_that_is_given_twice_is_exempt_once(facts):
    """iptables -C finds the rule, so the second is not inserted; the comment tells two apart."""
    found = facts(
        "current", AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS="10.10.0.0/16,172.16.0.0/12,172.16.5.0/12"
    )

    assert exempt(found, "AWS-SNAT-CHAIN-0") == [
        '-d 172.16.0.0/12 -m comment --comment "AWS SNAT CHAIN EXCLUSION" -j RETURN',
        '-d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAIN EXCLUSION" -j RETURN',
        '-d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAIN" -j RETURN',
    ]
    assert exempt(found, "AWS-CONNMARK-CHAIN-0") == [
        '-d 172.16.0.0/12 -m comment --comment "AWS CONNMARK CHAIN" -j RETURN',
        '-d 10.10.0.0/16 -m comment --comment "AWS CONNMARK CHAIN" -j RETURN',
    ]


def nft(found: frozenset[Fact]) -> dict[str, list[str]]:
    chains = [fact for fact in found if isinstance(fact, NftChain)]
    assert {(fact.family, fact.table) for fact in chains} <= {("ip", "aws-cni")}
    return {fact.name: [fact.hook, *map(str, fact.rules)] for fact in chains}


def test_the_nftables_backend_marks_in_a_table_of_its_own(facts):
    """nftables_connmark.go: behind dstnat; SNAT and mangle stay iptables."""
    found = facts(
        "current",
        TWO_RANGES,
        backend="nftables",
        AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS="192.168.7.7/32",
    )

    assert nft(found) == {
        "nat-prerouting": [
            "type nat hook prerouting priority dstnat + 10; policy accept;",
            "fib daddr type local return",
            'iifname "eni*" counter jump snat-mark',
            "counter meta mark set ct mark & 0x00000080",
        ],
        "snat-mark": [
            "",
            "counter ip daddr 192.168.7.7 return",
            "counter ip daddr 100.64.0.0/16 return",
            "counter ip daddr 10.10.0.0/16 return",
            "counter ct mark set ct mark | 0x00000080",
        ],
    }
    assert chain(found, "nat", "PREROUTING") is None
    assert chain(found, "nat", "AWS-CONNMARK-CHAIN-0") is None
    assert chain(found, "nat", "AWS-SNAT-CHAIN-0") == chain(
        facts("current", TWO_RANGES, AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS="192.168.7.7/32"),
        "nat",
        "AWS-SNAT-CHAIN-0",
    )
    assert chain(found, "mangle", "PREROUTING") == [ARRIVED, RESTORED, RESTORED_VLAN]


def test_mark_and_prefix_are_settings_of_the_nftables_backend_too(facts):
    found = nft(
        facts(
            "current",
            backend="nftables",
            AWS_VPC_K8S_CNI_CONNMARK="0x100",
            AWS_VPC_K8S_CNI_VETHPREFIX="pod",
        )
    )

    assert found["nat-prerouting"][2:] == [
        'iifname "pod*" counter jump snat-mark',
        "counter meta mark set ct mark & 0x00000100",
    ]
    assert found["snat-mark"][-1] == "counter ct mark set ct mark | 0x00000100"


def test_external_snat_leaves_no_table_of_nftables(facts):
    assert not nft(facts("current", backend="nftables", AWS_VPC_K8S_CNI_EXTERNALSNAT=True))
