"""Rule sets of like namespaces: copies of what `iptables-nft-restore` makes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.errors import KernelError
from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs.run import run
from testbed.kernel.read.observe import Observation, observe
from testbed.kernel.rules import alike
from testbed.kernel.write.apply import apply
from testbed.net.facts import Chain, ChainRule, Netns, State
from testbed.net.netfilter.iptables import parse_save, restore_text
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

RULES = Path(__file__).parent
NODES = ("n1", "n2", "n3")


@pytest.fixture
def store() -> Iterator[LocalStore]:
    """Namespaces without rules; one more for a restore to compare with."""
    with LocalStore() as spaces:
        apply(spaces, frozenset(Netns(ns=name) for name in (*NODES, "restored")))
        yield spaces


def _chains(ns: str, file: str) -> list[Chain]:
    """Without the policies, which are not copied."""
    found = parse_save(ns, (RULES / file).read_text())
    without = (replace(chain, policy="") for chain in found)
    return sorted(without, key=lambda chain: (chain.table, chain.name))


def _saved(store: LocalStore, name: str) -> list[str]:
    with entered(store.open(name)):
        lines = run(["iptables-nft-save"], timeout_s=PATIENCE_S).stdout.splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("file", ["cni-1.5.save", "cni-1.23.save", "kube-proxy.save", "ttl.save"])
def test_a_copy_is_saved_as_a_restore_is(store: LocalStore, file: str) -> None:
    """Chains too are in the same order."""
    done = alike.write({name: _chains(name, file) for name in NODES}, store.open)
    with entered(store.open("restored")):
        text = restore_text(_chains("restored", file))
        assert run(["iptables-nft-restore"], stdin=text, timeout_s=PATIENCE_S).returncode == 0

    assert done == frozenset(NODES)
    assert [_saved(store, name) for name in NODES] == [_saved(store, "restored")] * 3


def test_nodes_may_differ_in_a_rule(store: LocalStore) -> None:
    """Each node's SNAT has its own address; the order of its rules is its own too."""
    wanted: dict[str, list[Chain]] = {}
    for number, name in enumerate(NODES):
        snat = f"-d 198.51.100.0/24 -j SNAT --to-source 10.0.{number}.9 --random-fully"
        rules = [ChainRule(snat), ChainRule("-s 10.0.0.0/16 -j RETURN")]
        chain = Chain(
            ns=name, table="nat", name="POSTROUTING", rules=tuple(rules[:: -number or 1])
        )
        wanted[name] = [chain]

    alike.write(wanted, store.open)

    found = observe(store, NODES).state
    assert {fact for fact in found if isinstance(fact, Chain)} == {
        chain for chains in wanted.values() for chain in chains
    }


def test_a_policy_is_left_to_the_program(store: LocalStore) -> None:
    """A copy has none."""
    chain = Chain(ns="", table="filter", name="FORWARD", policy="DROP")

    assert alike.write({name: [replace(chain, ns=name)] for name in NODES}, store.open) == set()


def test_a_rule_that_nobody_takes_is_told_of_its_own_namespace(store: LocalStore) -> None:
    """As without copies: the node, the program and the line."""
    bad = ChainRule("-j NOWHERE")
    wanted: State = frozenset(
        fact
        for name in (*NODES, "restored")
        for fact in (
            Netns(ns=name),
            Chain(ns=name, table="nat", name="POSTROUTING", rules=(bad,)),
        )
    )
    bare = frozenset(fact for fact in wanted if isinstance(fact, Netns))

    with pytest.raises(KernelError, match=r"n1: iptables-nft-restore: (.|\n)*-j NOWHERE"):
        apply(store, wanted, Observation(state=bare))


@pytest.mark.parametrize("file", ["cni-1.5.save", "cni-1.23.save", "kube-proxy.save", "ttl.save"])
def test_rules_are_recognised_without_a_program(store: LocalStore, file: str) -> None:
    """As the program prints them, also after packets were counted."""
    wanted = {name: _chains(name, file) for name in NODES}
    alike.write(wanted, store.open)
    chains = [chain for those in wanted.values() for chain in those]
    original = alike.original_of(chains)
    assert original is not None

    for name in NODES:
        with entered(store.open(name)):
            assert run(["ping", "-c1", "-W0.1", "127.0.0.1"], timeout_s=PATIENCE_S).returncode == 0
            assert alike.recognised(original) == {
                (chain.table, chain.name): [*chain.rules] for chain in wanted[name]
            }
    assert observe(store, chains=chains).state == observe(store).state


@pytest.mark.parametrize(
    "change",
    [
        ["-A", "OUTPUT", "-m", "mark", "--mark", "0x7", "-j", "RETURN"],
        ["-P", "OUTPUT", "DROP"],
        ["-N", "OTHER"],
        ["-D", "OUTPUT", "1"],
    ],
    ids=" ".join,
)
def test_what_somebody_changed_is_found(store: LocalStore, change: list[str]) -> None:
    """Another rule, policy or chain is read by the program; a rule less is seen at once."""
    rule = ChainRule("-d 198.51.100.9/32 -j ACCEPT")
    wanted = [Chain(ns=name, table="mangle", name="OUTPUT", rules=(rule,)) for name in NODES]
    alike.write({chain.ns: [chain] for chain in wanted}, store.open)

    with entered(store.open("n2")):
        changed = run(["iptables-nft", "-t", "mangle", *change], timeout_s=PATIENCE_S)
    assert changed.returncode == 0, changed.stderr

    found = observe(store, chains=wanted).state
    assert found == observe(store).state
    assert not {wanted[0], wanted[2]} - found
    assert {fact for fact in found if isinstance(fact, Chain) and fact.ns == "n2"} != {wanted[1]}
