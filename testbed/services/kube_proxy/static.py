"""kube-proxy's chains that are there without any Service, and its jumps from the built-in ones.

Source: kubernetes v1.14 and v1.30, pkg/proxy/iptables/proxier.go: iptablesJumpChains, and both
ends of syncProxyRules.  Jumps are in the order that inserting each at the front leaves.
"""

from collections.abc import Iterator, Mapping

from testbed.kubernetes.kube_proxy import Era, KubeProxy
from testbed.net.facts import Chain, ChainRule
from testbed.services.kube_proxy.era_current import FIREWALL as PROXY_FIREWALL
from testbed.services.kube_proxy.rules import (
    EXTERNAL_SERVICES,
    LOOPBACK,
    NODE_PORTS,
    SERVICES,
    Line,
    ProxyNode,
    comment,
    nat,
)
from testbed.services.kubelet import (
    FIREWALL,
    MARK_MASQUERADE,
    NO_MARTIANS,
    POSTROUTING,
    TO_FIREWALL,
    TO_POSTROUTING,
    mark_rule,
)

FORWARD = "KUBE-FORWARD"
CANARY = "KUBE-PROXY-CANARY"  # its loss tells kube-proxy that somebody flushed the tables

NEW = "-m conntrack --ctstate NEW "
LAST = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"

Jumps = Mapping[tuple[str, str], tuple[ChainRule, ...]]


def empty_chains(era: Era) -> Iterator[Line]:
    """The chains all Services share, and what watches over them."""
    both = [("nat", SERVICES), ("nat", NODE_PORTS), ("filter", SERVICES)]
    both += [("filter", EXTERNAL_SERVICES), ("filter", FORWARD)]
    more = [("filter", NODE_PORTS), ("filter", PROXY_FIREWALL)]
    more += [(table, CANARY) for table in ("mangle", "nat", "filter")]
    for table, chain in both if era == "1.14" else both + more:
        yield Line(table, chain, None)


def first_rules(proxy: KubeProxy) -> Iterator[Line]:
    """Rules that are there before any Service's; in 1.14 kubelet's chains do this."""
    if proxy.era != "1.14":
        yield from _masquerade(proxy.masquerade_mark)


def _masquerade(mark: str) -> Iterator[Line]:
    not_marked = f"-m mark ! --mark {mark}/{mark} -j RETURN"
    why = "it was not noted that the packet needs this node's address"
    yield nat(POSTROUTING, not_marked, why)
    why = "take the note off: the packet may come by again"
    yield nat(POSTROUTING, f"-j MARK --set-xmark {mark}/0x0", why)
    yield Line("nat", POSTROUTING, _MASQUERADE)
    yield Line("nat", MARK_MASQUERADE, mark_rule(mark))


def firewall(node: str, proxy: KubeProxy) -> Chain:
    """Its copy of kubelet's chain, for machines without one: a rule where it opens 127.0.0.1."""
    rules = (NO_MARTIANS,) if proxy.routes_localnet else ()
    return Chain(ns=node, table="filter", name=FIREWALL, rules=rules)


def last_rules(proxy: KubeProxy, node: ProxyNode) -> Iterator[Line]:
    """Rules behind all Services' own."""
    for match in _node_addresses(proxy, node):
        why = "to one of the node's own addresses: is it for a node port?"
        yield Line("nat", SERVICES, ChainRule(f"{match}-j {NODE_PORTS}", why))
    for rule in _forward_1_14(proxy) if proxy.era == "1.14" else _forward(proxy):
        yield Line("filter", FORWARD, rule)


def _node_addresses(proxy: KubeProxy, node: ProxyNode) -> Iterator[str]:
    """How the packets to a node's addresses are told; node ports may be limited to some."""
    if proxy.every_node_address:
        excluded = f"! -d {LOOPBACK} " if not proxy.routes_localnet else ""
        yield f"{excluded}{comment(LAST)}-m addrtype --dst-type LOCAL "
        return
    for address in sorted(node.addresses):
        usable = not address.is_loopback or proxy.routes_localnet
        if usable and proxy.has_node_ports(address, node.ip):
            yield f"-d {address}/32 {comment(LAST)}"


def _forward_1_14(proxy: KubeProxy) -> Iterator[ChainRule]:
    """What is accepted although the policy of FORWARD may be DROP, as Docker makes it."""
    yield _marked_passes(proxy)
    if proxy.cluster_cidr:
        for option, end in (("-s", "source"), ("-d", "destination")):
            words = comment(f"kubernetes forwarding conntrack pod {end} rule")
            yield ChainRule(
                f"{option} {proxy.cluster_cidr} {words}{_ANSWER}",
                f"what belongs to a connection may pass the node, a pod being its {end}",
            )


def _forward(proxy: KubeProxy) -> Iterator[ChainRule]:
    if not proxy.conntrack_tcp_be_liberal:
        yield ChainRule(
            "-m conntrack --ctstate INVALID -j DROP",
            "of no connection: untranslated it would make the client reset its own (#74839)",
        )
    yield _marked_passes(proxy)
    yield ChainRule(
        f"{comment('kubernetes forwarding conntrack rule')}{_ANSWER}",
        "what belongs to a connection may pass the node",
    )


def _marked_passes(proxy: KubeProxy) -> ChainRule:
    mark = proxy.masquerade_mark
    return ChainRule(
        f"{comment('kubernetes forwarding rules')}-m mark --mark {mark}/{mark} -j ACCEPT",
        "a Service's connection that gets this node's address may pass the node",
    )


_ANSWER = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
_MASQUERADE = ChainRule(
    f"{comment('kubernetes service traffic requiring SNAT')}-j MASQUERADE --random-fully",
    "noted before: the packet gets this node's address, so the answer comes back here",
)
_PORTALS = comment("kubernetes service portals")
_TRANSLATE = ChainRule(f"{_PORTALS}-j {SERVICES}", "is it for a Service?")
_REFUSE = ChainRule(
    f"{NEW}{_PORTALS}-j {SERVICES}", "a new connection: is it for a Service without endpoints?"
)
_REFUSE_EXTERNAL = ChainRule(
    f"{NEW}{comment('kubernetes externally-visible service portals')}-j {EXTERNAL_SERVICES}",
    "a new connection: is it for a node port without endpoints?",
)
_PASS = ChainRule(
    f"{comment('kubernetes forwarding rules')}-j {FORWARD}",
    "passing through the node: Services' connections are accepted",
)
_CHECK_CLIENT = ChainRule(
    f"{NEW}{comment('kubernetes load balancer firewall')}-j {PROXY_FIREWALL}",
    "a new connection: is it to a load balancer that does not take this client?",
)
_HEALTH = ChainRule(
    f"{comment('kubernetes health check service ports')}-j {NODE_PORTS}",
    "does a load balancer ask for this node's health?",
)

_NAT: Jumps = {("nat", "PREROUTING"): (_TRANSLATE,), ("nat", "OUTPUT"): (_TRANSLATE,)}
JUMPS: Mapping[Era, Jumps] = {
    "1.14": {
        **_NAT,
        ("filter", "INPUT"): (_REFUSE, _REFUSE_EXTERNAL),
        ("filter", "FORWARD"): (_PASS, _REFUSE),
        ("filter", "OUTPUT"): (_REFUSE,),
    },
    "current": {
        **_NAT,
        ("nat", "POSTROUTING"): (TO_POSTROUTING,),
        ("filter", "INPUT"): (TO_FIREWALL, _CHECK_CLIENT, _HEALTH, _REFUSE_EXTERNAL),
        ("filter", "FORWARD"): (_CHECK_CLIENT, _PASS, _REFUSE, _REFUSE_EXTERNAL),
        ("filter", "OUTPUT"): (TO_FIREWALL, _CHECK_CLIENT, _REFUSE),
    },
}
