"""Rule sets of the CNI, of kube-proxy and of the fabric, written to the kernel and read back."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.errors import KernelError
from testbed.kernel.namespaces.enter import entered, new_netns
from testbed.kernel.programs.run import run
from testbed.kernel.rules.netfilter import read, write
from testbed.net.facts import Chain, ChainRule, NftChain, State
from testbed.net.netfilter.iptables import parse_save
from testbed.net.netfilter.nft import parse_list
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

RULES = Path(__file__).parent  # as iptables-save 1.8.9 and nft 1.0.6 print them
NOTHING: State = frozenset()


@pytest.fixture
def netns() -> Iterator[None]:
    """The test is inside a new, empty network namespace."""
    fd = new_netns()
    try:
        with entered(fd):
            yield
    finally:
        os.close(fd)


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("name", ["cni-1.5", "cni-1.23", "kube-proxy", "ttl"])
def test_iptables_rules_are_saved_as_they_were_written(name: str) -> None:
    """`iptables-save` in a node shows, letter by letter, what a real node shows."""
    saved = (RULES / f"{name}.save").read_text()
    wanted = parse_save("node-1", saved)

    write("node-1", NOTHING, wanted)

    printed = run(["iptables-nft-save"], timeout_s=PATIENCE_S).stdout
    assert sorted(_rules(printed)) == sorted(_rules(saved))
    assert read("node-1", iptables=True, nft=True) == wanted


def _rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("-A ")]


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("name", ["fabric", "gateways", "kube-proxy"])
def test_nft_tables_are_listed_as_they_were_written(name: str) -> None:
    """Texts are in nft's own spelling, whichever version is installed."""
    wanted = parse_list("vpc-main", (RULES / f"{name}.nft").read_text())

    write("vpc-main", NOTHING, wanted)

    assert read("vpc-main", iptables=True, nft=True) == wanted


@pytest.mark.usefixtures("netns")
def test_iptables_and_nft_live_side_by_side() -> None:
    """Neither program's reader takes the other's tables for its own."""
    chains = parse_save("n", (RULES / "cni-1.23.save").read_text())
    tables = parse_list("n", (RULES / "gateways.nft").read_text())

    write("n", NOTHING, chains | tables)

    assert read("n", iptables=True, nft=False) == chains
    assert read("n", iptables=False, nft=True) == tables


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cni-1.5", "cni-1.23"),
        ("kube-proxy", "cni-1.5"),
        ("cni-1.5", "kube-proxy"),
        ("cni-1.5", "ttl"),
    ],
    ids=["chains", "policies", "new policies", "tables"],
)
def test_iptables_rules_become_other_ones(before: str, after: str) -> None:
    """Tables, chains, rules and policies that are no longer wanted are gone."""
    found = parse_save("n", (RULES / f"{before}.save").read_text())
    wanted = parse_save("n", (RULES / f"{after}.save").read_text())
    write("n", NOTHING, found)

    write("n", found, wanted)

    assert read("n", iptables=True, nft=True) == wanted


@pytest.mark.usefixtures("netns")
def test_a_changed_chain_leaves_the_counters_of_the_others() -> None:
    """One transaction, and a small one: nothing else in the table is written again."""
    found = parse_save("n", (RULES / "kube-proxy.save").read_text())
    changed = Chain(ns="n", table="nat", name="KUBE-MARK-MASQ", rules=(ChainRule("-j RETURN"),))
    write("n", NOTHING, found)
    run(
        ["iptables-nft", "-t", "nat", "-A", "KUBE-NODEPORTS", "-c", "7", "700"],
        timeout_s=PATIENCE_S,
    )
    counted = read("n", iptables=True, nft=False)

    write("n", counted, frozenset(f for f in counted if f.key != changed.key) | {changed})

    assert (
        "[7:700] -A KUBE-NODEPORTS"
        in run(["iptables-nft-save", "-c"], timeout_s=PATIENCE_S).stdout
    )


BEFORE = """\
table bridge vpc {
	set assigned {
		type ifname . ipv4_addr
		flags interval
		elements = { "eni-a1" . 10.0.1.5, "eni-a1" . 10.0.1.64/28 }
	}

	map macs {
		type ipv4_addr : ether_addr
		elements = { 10.0.1.5 : 0a:00:00:00:01:05, 10.0.1.6 : 0a:00:00:00:01:06 }
	}

	map next {
		type ipv4_addr : verdict
		elements = { 10.0.1.5 : goto lift, 10.0.1.6 : goto other }
	}

	chain prerouting {
		type filter hook prerouting priority dstnat; policy drop;
		iifname . ip saddr @assigned accept
		ip saddr vmap @next
		ether saddr set ip saddr map @macs
	}

	chain lift {
		meta pkttype set host
	}

	chain other {
		jump lift
	}
}
table ip igw {
	chain input {
	}
}
"""


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10.0.1.64/28", "10.0.1.0/26"),
        ("10.0.1.5 : 0a:00:00:00:01:05", "10.0.1.5 : 0a:00:00:00:01:09"),
        ("10.0.1.6 : goto other", "10.0.1.6 : goto lift"),
        ("\t\tjump lift\n", "\t\tcounter\n\t\tjump lift\n"),
        ("\tchain other {\n\t\tjump lift\n\t}\n", "\tchain another {\n\t}\n"),
        ("ipv4_addr : ether_addr\n", "ipv4_addr : ether_addr\n\t\tflags interval\n"),
        ("policy drop", "policy accept"),
        ("table ip igw", "table ip6 igw"),
    ],
    ids=["element", "value", "verdict", "rule", "chain", "set", "policy", "table"],
)
def test_nft_tables_become_other_ones_and_back(old: str, new: str) -> None:
    """In one transaction each, although rules hold sets, and elements hold chains."""
    after = BEFORE.replace(old, new)
    if "chain another" in after:
        after = after.replace("goto other", "goto another")
    found, wanted = parse_list("n", BEFORE), parse_list("n", after)
    assert found != wanted, "premise: the texts differ"
    write("n", NOTHING, found)

    write("n", found, wanted)
    there = read("n", iptables=False, nft=True)
    write("n", wanted, found)

    assert there == wanted
    assert read("n", iptables=False, nft=True) == found


@pytest.mark.usefixtures("netns")
def test_a_fabric_without_its_sets_and_the_chains_that_use_them() -> None:
    """Sets go after the rules that name them, chains after the elements that do."""
    found = parse_list("n", BEFORE)
    left = {"lift", "input"}
    wanted = frozenset(fact for fact in found if isinstance(fact, NftChain) and fact.name in left)
    write("n", NOTHING, found)

    write("n", found, wanted)

    assert read("n", iptables=False, nft=True) == wanted


@pytest.mark.usefixtures("netns")
def test_hundreds_of_elements_are_read_back() -> None:
    """nft breaks long lists into lines, two or three elements each."""
    elements = ", ".join(f"10.1.{n // 250}.{n % 250}" for n in range(700))
    lines = ["table ip t {", "\tset s {", "\t\ttype ipv4_addr", f"\t\telements = {{ {elements} }}"]
    text = "\n".join([*lines, "\t}", "}"])
    wanted = parse_list("n", text)
    assert len(wanted) == 701, "premise: the set and its elements"

    write("n", NOTHING, wanted)

    assert read("n", iptables=False, nft=True) == wanted


@pytest.mark.usefixtures("netns")
def test_rules_of_other_namespaces_are_not_written() -> None:
    """A whole lab's state may be handed over."""
    chain = Chain(ns="node-2", table="nat", name="KUBE-SERVICES")

    write("node-1", NOTHING, frozenset({chain}))

    assert read("node-1", iptables=True, nft=True) == NOTHING


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("-p tcp --dporrt 80 -j ACCEPT", 'unknown option "--dporrt"'),
        ("-j KUBE-NOWHERE", "KUBE-NOWHERE"),
        ("-j TTL --ttl-inc 1", "RULE_APPEND failed (Invalid argument)"),
    ],
    ids=["option", "target", "kernel"],
)
def test_a_refused_iptables_rule_is_named(rule: str, said: str) -> None:
    """With the namespace and what the program, or the kernel, has against it."""
    rules = (ChainRule("-j ACCEPT"), ChainRule(rule))
    chain = Chain(ns="node-1", table="nat", name="POSTROUTING", rules=rules)

    with pytest.raises(KernelError) as refused:
        write("node-1", NOTHING, frozenset({chain}))

    message = str(refused.value)
    assert message.startswith("node-1: iptables-nft-restore: ")
    assert said in message
    assert message.endswith(f"refused: -A POSTROUTING {rule}")
    assert read("node-1", iptables=True, nft=False) == NOTHING


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("ip saddr 10.0.0.1 acept", "syntax error, unexpected newline"),
        ("jump nowhere", "No such file or directory"),
    ],
    ids=["syntax", "kernel"],
)
def test_a_refused_nft_rule_is_named(rule: str, said: str) -> None:
    """And nothing of the transaction has happened."""
    rules = (ChainRule("accept"), ChainRule(rule))
    chain = NftChain(ns="vpc-main", family="ip", table="t", name="c", rules=rules)

    with pytest.raises(KernelError) as refused:
        write("vpc-main", NOTHING, frozenset({chain}))

    message = str(refused.value)
    assert message.startswith("vpc-main: nft: ")
    assert said in message
    assert message.endswith(f"refused: add rule ip t c {rule}")
    assert read("vpc-main", iptables=False, nft=True) == NOTHING


LONG_SET = """
from testbed.kernel.rules import netfilter
from testbed.net.facts import NftElement, NftSet
place = {"ns": "v", "family": "ip", "table": "t"}
known = NftSet(**place, name="known", key_type="ipv4_addr")
elements = [
    NftElement(**place, set="known", element=f"10.0.{i // 256}.{i % 256}") for i in range(9000)
]
wanted = frozenset([known, *elements])
netfilter.write("v", frozenset(), wanted)
assert netfilter.read("v", iptables=False, nft=True) == wanted
"""


def test_a_user_namespace_takes_long_sets_in_parts() -> None:
    """Its root may not send a message above what every socket holds: `Message too long`."""
    ended = run(["unshare", "-Urn", sys.executable, "-c", LONG_SET], timeout_s=60)

    if "unshare failed" in ended.stderr:
        pytest.skip("this user may not make user namespaces")
    assert ended.returncode == 0, ended.stderr
