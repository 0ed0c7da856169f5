"""The rules kube-proxy writes for one port of a Service, in the order it writes them.

Texts are as `iptables-save` prints them.  Source: kubernetes v1.14,
pkg/proxy/iptables/proxier.go, syncProxyRules.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import NamedTuple

from testbed.net.facts import ChainRule
from testbed.services.kubelet import MARK_MASQUERADE
from testbed.services.proxied import ProxiedPort

SERVICES = "KUBE-SERVICES"
NODE_PORTS = "KUBE-NODEPORTS"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"

REJECT = "-j REJECT --reject-with icmp-port-unreachable"
STEPS = 2**31  # xt_statistic: a probability is a whole number of these


class Line(NamedTuple):
    """A rule and the chain it is appended to."""

    table: str
    chain: str
    rule: ChainRule


def port_rules(port: ProxiedPort, cluster_cidr: IPv4Network | None) -> Iterator[Line]:
    """The rules of a port.  cluster_cidr: kube-proxy's --cluster-cidr, the pods' range, if set."""
    if not port.backends:
        yield from _rejects(port)
        return
    yield from _cluster_ip(port, cluster_cidr)
    if port.node_port:
        yield from _node_port(port)
    yield from _choice(port)
    for backend in port.backends:
        chain = port.endpoint_chain(backend)
        hairpin = "the endpoint called its own Service: only with another source does it answer us"
        yield _nat(chain, f"-s {backend.ip}/32 -j {MARK_MASQUERADE}", hairpin)
        translated = f"-p {port.protocol} -m {port.protocol} -j DNAT --to-destination {backend}"
        yield _nat(chain, translated, f"to {backend.pod} on {backend.node}")


def _cluster_ip(port: ProxiedPort, cluster_cidr: IPv4Network | None) -> Iterator[Line]:
    """`-d 100.64.31.116/32 -p tcp -m comment --comment "default/web: cluster IP" …`."""
    to_it = _match(port, f"{port.name} cluster IP", port.port, destination=f"{port.cluster_ip}/32")
    if cluster_cidr:
        why = "not from a pod, from the node itself say: the answer has to come back here"
        yield _nat(SERVICES, f"! -s {cluster_cidr} {to_it} -j {MARK_MASQUERADE}", why)
    why = f"to the ClusterIP of {port.title}: choose an endpoint"
    yield _nat(SERVICES, f"{to_it} -j {port.chain}", why)


def _node_port(port: ProxiedPort) -> Iterator[Line]:
    """`-p tcp -m comment --comment "default/web:" -m tcp --dport 31787 …`."""
    to_it = _match(port, port.name, port.node_port)
    why = "by a node port: the endpoint may be elsewhere, the answer has to come back here"
    yield _nat(NODE_PORTS, f"{to_it} -j {MARK_MASQUERADE}", why)
    why = f"to the node port of {port.title}: choose an endpoint"
    yield _nat(NODE_PORTS, f"{to_it} -j {port.chain}", why)


def _choice(port: ProxiedPort) -> Iterator[Line]:
    """Each endpoint is taken with the same chance: 1/n, else 1/(n-1), …, else the last.

    kubernetes v1.14 writes no comment here: the helper that should add it drops its result.
    """
    count = len(port.backends)
    for left, backend in zip(range(count, 0, -1), port.backends, strict=True):
        jump = f"-j {port.endpoint_chain(backend)}"
        if left > 1:
            chance = f"-m statistic --mode random --probability {probability(left)} "
            yield _nat(port.chain, chance + jump, f"one in {left} that get here: to {backend.pod}")
        else:
            yield _nat(port.chain, jump, f"whatever gets here: to {backend.pod}")


def probability(count: int) -> str:
    """1/count as `iptables-save` prints it: 0.33332999982 for 3.

    kube-proxy 1.14 writes five decimals, and the kernel keeps a multiple of 2**-31.
    """
    return f"{round(float(f'{1 / count:.5f}') * STEPS) / STEPS:.11f}"


def _rejects(port: ProxiedPort) -> Iterator[Line]:
    """Table filter, because only there a packet can be refused."""
    comment = f"{port.name} has no endpoints"
    why = f"{port.title} has no endpoints: refuse at once rather than let callers wait"
    to_it = _match(port, comment, port.port, destination=f"{port.cluster_ip}/32")
    yield Line("filter", SERVICES, ChainRule(f"{to_it} {REJECT}", why))
    if port.node_port:
        local = "-m addrtype --dst-type LOCAL "
        to_it = _match(port, comment, port.node_port, more=local)
        yield Line("filter", EXTERNAL_SERVICES, ChainRule(f"{to_it} {REJECT}", why))


def _match(
    port: ProxiedPort, comment: str, number: int, *, destination: str = "", more: str = ""
) -> str:
    to = f"-d {destination} " if destination else ""
    return (
        f'{to}-p {port.protocol} -m comment --comment "{comment}" '
        f"{more}-m {port.protocol} --dport {number}"
    )


def _nat(chain: str, text: str, why: str) -> Line:
    return Line("nat", chain, ChainRule(text, why))
