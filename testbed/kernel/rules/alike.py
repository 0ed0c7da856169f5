"""iptables rule sets of many namespaces, most of which are alike.  Needs CAP_SYS_ADMIN.

`iptables-nft-restore` runs once, in a namespace of its own, for every different rule.  What the
kernel made of it is copied, 1 to 3 ms a node instead of 7 to 15, and `iptables-save` prints the
same as after a restore in each; or it is recognised where it is found.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import compress

from testbed.errors import KernelError, MissingFeature
from testbed.kernel.namespaces.enter import CLONE_NEWNET, entered, returning, unshare
from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import refusal
from testbed.kernel.rules import netfilter, nftables
from testbed.kernel.rules.nftables import Place
from testbed.net.facts import Chain, ChainRule
from testbed.net.netfilter.iptables import BUILT_IN

FEWEST = 3  # namespaces that are worth a copy
SETS = b"lookup\0"  # an expression that names an anonymous set: not to be copied

Rule = tuple[Place, bytes]  # where a rule is, and what it does
Written = tuple[Place, str]  # where a rule is, and its text


@dataclass(frozen=True)
class Original:
    """What the kernel made of chains and rules, as bytes, and the messages that make the same."""

    chains: Mapping[Place, bytes]
    rules: Mapping[Rule, ChainRule]
    chain_messages: Mapping[Place, bytes]
    rule_messages: Mapping[Written, bytes]
    _met: dict[bytes, tuple[Place, ChainRule | None]] = field(default_factory=dict, init=False)

    def rule(self, dumped: bytes) -> tuple[Place, ChainRule | None]:
        """Place and text of a rule as the kernel dumps it; no text: it is not one of these.

        Of nodes that were made alike most rules have the same numbers, too: they are met before.
        """
        rule = nftables.uncounted(dumped)
        if rule not in self._met:
            place, settings = nftables.rule_settings(rule)
            self._met[rule] = place, self.rules.get((place, settings))
        return self._met[rule]


def write(wanted: Mapping[str, Sequence[Chain]], netns: Callable[[str], int]) -> frozenset[str]:
    """Write chains into namespaces that have none; the namespaces that are done.

    Left to `netfilter.write` is what cannot be copied (policies, very long rule sets) and what the
    kernel refuses.  Each processor copies: a rule set takes milliseconds inside one system call.
    """
    simple = {ns: chains for ns, chains in wanted.items() if _is_simple(chains)}
    original = original_of(chain for chains in simple.values() for chain in chains)
    if original is None:
        return frozenset()

    def done(ns: str) -> bool:
        batch = _batch(simple[ns], original)
        with entered(netns(ns)):
            return _accepted(batch)

    with ThreadPoolExecutor(os.cpu_count(), "rules") as workers:
        return frozenset(compress(simple, workers.map(done, simple)))


def recognised(original: Original) -> Mapping[Place, Sequence[ChainRule]] | None:
    """The rules of each chain in the namespace the thread is in; none if one of them is unknown.

    A rule is what it does, byte for byte, whatever it has counted.  Left out are built-in chains
    without rules.
    """
    with NetlinkSocket(uapi.NETLINK_NETFILTER) as socket:
        made = socket.dump(*nftables.request(uapi.NFT_MSG_GETCHAIN))
        rules = socket.dump(*nftables.request(uapi.NFT_MSG_GETRULE))
    found: dict[Place, list[ChainRule]] = {}
    for place, settings in map(nftables.chain_settings, nftables.bodies(made)):
        if original.chains.get(place) != settings:
            return None
        found[place] = []
    for place, rule in map(original.rule, nftables.bodies(rules)):
        if rule is None or place not in found:
            return None
        found[place].append(rule)
    return {place: those for place, those in found.items() if those or place[1] not in BUILT_IN}


def _is_simple(chains: Sequence[Chain]) -> bool:
    return bool(chains) and not any(chain.policy for chain in chains)


def original_of(chains: Iterable[Chain]) -> Original | None:
    """All different rules, written once and read back; none where that is not worth it.

    That is with few namespaces, or when what is read does not match one to one.
    """
    chains = list(chains)
    if len({chain.ns for chain in chains}) < FEWEST:
        return None
    union = _union(chains)
    try:
        made, rules = _made_of(union)
    except (KernelError, MissingFeature):
        return None  # the namespace whose rule it is shall say so
    by_place: dict[Place, list[bytes]] = {}
    for place, settings in map(nftables.rule_settings, nftables.bodies(rules)):
        by_place.setdefault(place, []).append(settings)
    texts = {(chain.table, chain.name): chain.rules for chain in union}
    if any(len(found) != len(texts.get(place, ())) for place, found in by_place.items()):
        return None
    learnt = [
        (place, rule, settings)
        for place, found in by_place.items()
        for rule, settings in zip(texts[place], found, strict=True)
    ]
    if any(SETS in settings for _, _, settings in learnt):
        return None
    chains_made = dict(map(nftables.chain_settings, nftables.bodies(made)))
    return Original(
        chains=chains_made,
        rules={(place, settings): rule for place, rule, settings in learnt},
        chain_messages={place: nftables.chain(place, own) for place, own in chains_made.items()},
        rule_messages={
            (place, rule.text): nftables.rule(place, settings) for place, rule, settings in learnt
        },
    )


def _made_of(chains: Iterable[Chain]) -> tuple[list[bytes], list[bytes]]:
    """The kernel's chains and rules, of a namespace that ends with this."""
    with returning():
        unshare(CLONE_NEWNET)
        netfilter.write("", frozenset(), frozenset(chains))
        with NetlinkSocket(uapi.NETLINK_NETFILTER) as socket:
            made = socket.dump(*nftables.request(uapi.NFT_MSG_GETCHAIN))
            return made, socket.dump(*nftables.request(uapi.NFT_MSG_GETRULE))


def _union(chains: Iterable[Chain]) -> list[Chain]:
    """Every chain once, with every different rule that one of its name has somewhere."""
    rules: dict[Place, dict[str, ChainRule]] = {}
    for chain in chains:
        different = rules.setdefault((chain.table, chain.name), {})
        different.update((rule.text, rule) for rule in chain.rules)
    return [
        Chain(ns="", table=table, name=name, rules=tuple(those.values()))
        for (table, name), those in rules.items()
    ]


def _batch(chains: Sequence[Chain], original: Original) -> bytes:
    """The copy of one namespace, in the order in which a restore makes things."""
    own = {(chain.table, chain.name): chain for chain in chains}
    tables = dict.fromkeys(chain.table for chain in chains)
    requests = [nftables.table(name) for name in tables]
    ordered = [place for place in original.chains if place in own]
    requests += [original.chain_messages[place] for place in ordered]
    requests += [
        original.rule_messages[place, rule.text] for place in ordered for rule in own[place].rules
    ]
    return nftables.transaction(requests)


def _accepted(batch: bytes) -> bool:
    """Whether the kernel made all of it; else it made nothing."""
    with NetlinkSocket(uapi.NETLINK_NETFILTER) as socket:
        try:
            answers = [refusal(answer) for answer in socket.exchange(batch, nftables.LAST)]
        except OSError:
            return False  # it is too long for this user
    return not any(answer.errno for answer in answers)
