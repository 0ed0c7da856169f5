"""Rules as `iptables-save` prints them: the words both of kube-proxy's eras put together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from testbed.kubernetes.kube_proxy import Era, KubeProxy
from testbed.net.facts import ChainRule
from testbed.services.endpoints import Backend
from testbed.services.kube_proxy.names import endpoint_chain
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kubelet import MARK_MASQUERADE

SERVICES = "KUBE-SERVICES"
NODE_PORTS = "KUBE-NODEPORTS"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"

REJECT = "REJECT --reject-with icmp-port-unreachable"
DESTINATION_LOCAL = "-m addrtype --dst-type LOCAL "
SOURCE_LOCAL = "-m addrtype --src-type LOCAL "
LOOPBACK = IPv4Network("127.0.0.0/8")

STEPS = 2**31  # xt_statistic: a probability is a whole number of these
DECIMALS: dict[Era, int] = {"1.14": 5, "current": 10}  # of a probability; ten since 1.17


@dataclass(frozen=True, kw_only=True)
class ProxyNode:
    """A node as its kube-proxy sees it.  addresses: those that node ports may be on.

    A node without a name has no endpoint of its own.  terminating: it is being deleted.
    zone: empty where it is not known; then topology hints are not followed.
    """

    name: str = ""
    ip: IPv4Address | None = None
    addresses: tuple[IPv4Address, ...] = ()
    pod_cidr: IPv4Network | None = None
    zone: str = ""
    terminating: bool = False


class Line(NamedTuple):
    """A rule and the chain it is appended to; without a rule the chain, which is there empty."""

    table: str
    chain: str
    rule: ChainRule | None


def nat(chain: str, text: str, why: str) -> Line:
    """A rule of table nat."""
    return Line("nat", chain, ChainRule(text, why))


def filter_(chain: str, text: str, why: str) -> Line:
    """A rule of table filter."""
    return Line("filter", chain, ChainRule(text, why))


def comment(text: str) -> str:
    """`-m comment --comment "…" `."""
    return f'-m comment --comment "{text}" '


def destination(address: IPv4Address) -> str:
    """`-d 10.0.0.1/32 `."""
    return f"-d {address}/32 "


def source(network: IPv4Network) -> str:
    """`-s 10.0.0.0/8 `; nothing for every address, which iptables does not print."""
    return f"-s {network} " if network.prefixlen else ""


def to_port(port: ProxiedPort, words: str, number: int, *, first: str = "", more: str = "") -> str:
    """`-d 10.0.0.1/32 -p tcp -m comment --comment "…" -m tcp --dport 80 `.

    first: addresses and interfaces.  more: matches between the comment and the port.
    """
    protocol = port.protocol
    return f"{first}-p {protocol} {comment(words)}{more}-m {protocol} --dport {number} "


class LocalTraffic(NamedTuple):
    """How rules tell what this node's pods send: `-s 100.96.0.0/11 `, `-i cbr0 `.

    before: whether iptables prints it in front of a destination; interfaces come behind.
    """

    text: str
    before: bool

    def match(self, to: str = "", *, negated: bool = False) -> str:
        """Together with a destination."""
        own = f"! {self.text}" if negated else self.text
        return own + to if self.before else to + own


def local_traffic(proxy: KubeProxy, node: ProxyNode) -> LocalTraffic | None:
    """kube-proxy's own way to tell pods from others; none where it was told none."""
    match proxy.detect_local_mode:
        case "ClusterCIDR":
            return LocalTraffic(f"-s {proxy.cluster_cidr} ", True) if proxy.cluster_cidr else None
        case "NodeCIDR":
            return LocalTraffic(f"-s {node.pod_cidr} ", True) if node.pod_cidr else None
        case "BridgeInterface":
            return LocalTraffic(f"-i {proxy.pod_interface} ", False)
        case "InterfaceNamePrefix":
            return LocalTraffic(f"-i {proxy.pod_interface}+ ", False)


@cache
def probability(era: Era, count: int) -> str:
    """1/count as `iptables-save` prints it: 0.33332999982 for 3 in era 1.14.

    kube-proxy writes some decimals, and the kernel keeps a multiple of 2**-31.
    """
    return f"{round(float(f'{1 / count:.{DECIMALS[era]}f}') * STEPS) / STEPS:.11f}"


class Target(NamedTuple):
    """An endpoint with what its rules repeat: chain, address, `address:port`, and whose it is."""

    chain: str
    ip: str
    endpoint: str
    pod: str
    node: str

    @property
    def title(self) -> str:
        """As people name it."""
        return self.pod or self.endpoint


def targets(port: ProxiedPort, backends: Sequence[Backend]) -> list[Target]:
    """The endpoints of a port, each with its chain."""
    found = []
    for backend in backends:
        ip = str(backend.ip)
        endpoint = f"{ip}:{backend.port}"
        chain = endpoint_chain(port.name, port.protocol, endpoint)
        found.append(Target(chain, ip, endpoint, backend.pod, backend.node))
    return found


def stick(
    port: ProxiedPort, chain: str, to: Sequence[Target], comments: Sequence[str]
) -> Iterator[Line]:
    """Who was here before goes where it went.  comments: one for each endpoint; so below."""
    if not port.affinity_s:
        return
    check = f"-m recent --rcheck --seconds {port.affinity_s} --reap --name"
    for target, words in zip(to, comments, strict=True):
        jump = target.chain
        text = f"{words}{check} {jump} --mask 255.255.255.255 --rsource -j {jump}"
        why = f"a client of the last {port.affinity_s} s stays with {target.title}"
        yield nat(chain, text, why)


def spread(era: Era, chain: str, to: Sequence[Target], comments: Sequence[str]) -> Iterator[Line]:
    """Each endpoint is taken with the same chance: 1/n, else 1/(n-1), …, else the last."""
    for left, target, words in zip(range(len(to), 0, -1), to, comments, strict=True):
        if left > 1:
            chance = f"-m statistic --mode random --probability {probability(era, left)} "
            why = f"one in {left} that get here: to {target.title}"
            yield nat(chain, f"{words}{chance}-j {target.chain}", why)
        else:
            why = f"whatever gets here: to {target.title}"
            yield nat(chain, f"{words}-j {target.chain}", why)


def translate(port: ProxiedPort, target: Target, words: str) -> Iterator[Line]:
    """The chain of one endpoint.  words: the comment of its rules, empty for none."""
    chain, protocol = target.chain, port.protocol
    hairpin = "the endpoint called its own Service: only with another source does it answer us"
    yield nat(chain, f"-s {target.ip}/32 {words}-j {MARK_MASQUERADE}", hairpin)
    remember = (
        f"-m recent --set --name {chain} --mask 255.255.255.255 --rsource "
        if port.affinity_s
        else ""
    )
    to = f"-m {protocol} -j DNAT --to-destination {target.endpoint}"
    why = f"to {target.pod} on {target.node}" if target.pod else "an endpoint"
    yield nat(chain, f"-p {protocol} {words}{remember}{to}", why)
