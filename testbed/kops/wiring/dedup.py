"""What kubenet's ebtables rules keep away in hairpin mode promiscuous-bridge: second copies.

A promiscuous bridge takes what it forwards itself as well, so a packet comes to a pod bridged and
once more routed.  The routed copy has the bridge's MAC and a pod's address.

    ebtables -t filter -A OUTPUT -j KUBE-DEDUP
    -A KUBE-DEDUP -p IPv4 -s MAC -o veth+ --ip-src 100.96.1.1 -j ACCEPT
    -A KUBE-DEDUP -p IPv4 -s MAC -o veth+ --ip-src 100.96.1.0/24 -j DROP

Source: kubernetes v1.14, kubenet_linux.go, syncEbtablesDedupRules.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network

from testbed.kops.ipam.host_local import gateway
from testbed.net.facts import ChainRule, Fact, NftChain

DEDUP = "KUBE-DEDUP"
OUTPUT = "type filter hook output priority filter; policy accept;"  # where ebtables' OUTPUT is


def dedup_facts(ns: str, mac: str, cidr: IPv4Network) -> Iterator[Fact]:
    """ebtables' chains of a node, in nftables' spelling.  mac: of the bridge."""
    copy = f'oifname "veth*" ether saddr {mac} ip saddr'
    rules = (
        ChainRule(f"{copy} {gateway(cidr)} counter accept", "cbr0's own packets are no copies"),
        ChainRule(f"{copy} {cidr} counter drop", "routed once more: the bridged one has arrived"),
    )
    why = "promiscuous-bridge: each packet once (kubenet, ebtables)"
    yield NftChain(ns=ns, family="bridge", table="filter", name=DEDUP, rules=rules, why=why)
    yield NftChain(
        ns=ns,
        family="bridge",
        table="filter",
        name="OUTPUT",
        hook=OUTPUT,
        rules=(ChainRule(f"counter jump {DEDUP}", why),),
        why=why,
    )
