"""hostPort: a port of the node that leads to one of a pod's, by kubenet's own chains.

    nat PREROUTING, OUTPUT   to an address of the node -> KUBE-HOSTPORTS
    nat KUBE-HOSTPORTS       a jump for each port, the newest first
    nat KUBE-HP-…            mark what the pod itself sends; translate to the pod

Clients outside keep their address.  Source: kubernetes v1.14,
pkg/kubelet/dockershim/network/hostport.
"""

from base64 import b32encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address

from testbed.description.ports import Port
from testbed.kubernetes.model import Pod
from testbed.net.facts import Chain, ChainPiece, ChainRule, Fact
from testbed.net.served.endpoints import Listener, held

HOSTPORTS = "KUBE-HOSTPORTS"
OWNER = "kubenet hostPort"
POSITION = 210  # appended with a node's first hostPort: behind what is there already
MARK_MASQUERADE = "KUBE-MARK-MASQ"  # kubelet's or kube-proxy's
LOOPBACK = "127.0.0.0/8"

PORTALS = ChainRule(
    f'-m comment --comment "kube hostport portals" -m addrtype --dst-type LOCAL -j {HOSTPORTS}',
    "to one of the node's own addresses: is it for a pod's hostPort?",
)


@dataclass(frozen=True)
class HostPort:
    """A port of the node, whose pod it leads to, and to which port there."""

    pod: Pod
    address: IPv4Address
    port: Port

    @property
    def chain(self) -> str:
        """`KUBE-HP-` and sixteen letters."""
        text = f"{self.pod.sandbox}{self.port.host_port}{self.port.transport.upper()}"
        return f"KUBE-HP-{b32encode(sha256(text.encode()).digest()).decode()[:16]}"

    @property
    def comment(self) -> str:
        """`web_default hostport 8080`, as a match of iptables."""
        name = f"{self.pod.name}_{self.pod.namespace}"
        return f'-m comment --comment "{name} hostport {self.port.host_port}"'


def held_ports(node: str, given: Iterable[HostPort]) -> Iterator[Listener]:
    """The sockets with which kubelet keeps a node's hostPorts from others; nothing reads there."""
    for one in given:
        assert one.port.host_port, "a HostPort has one"
        yield held(node, one.port.transport, one.port.host_port)


def host_port_facts(node: str, bridge: str, given: Iterable[HostPort]) -> Iterator[Fact]:
    """The chains of a node's pods with hostPorts; nothing where none has one.

    given: in the order in which the pods started.
    """
    ports = tuple(given)
    if not ports:
        return
    why = "kubenet's hostPorts (kubernetes v1.14)"
    localhost = ChainRule(
        f'-s {LOOPBACK} -o {bridge} -m comment --comment "SNAT for localhost access to hostports"'
        " -j MASQUERADE",
        "the node called its own 127.0.0.1: a pod could not answer that",
    )
    for chain, rule in (
        ("PREROUTING", PORTALS),
        ("OUTPUT", PORTALS),
        ("POSTROUTING", localhost),
    ):
        yield ChainPiece(
            ns=node,
            table="nat",
            chain=chain,
            owner=OWNER,
            position=POSITION,
            rules=(rule,),
            why=why,
        )
    jumps = tuple(_jump(one) for one in reversed(ports))
    yield Chain(ns=node, table="nat", name=HOSTPORTS, rules=jumps, why=why)
    for one in ports:
        yield Chain(ns=node, table="nat", name=one.chain, rules=_to_pod(one), why=why)


def _jump(one: HostPort) -> ChainRule:
    transport, number = one.port.transport, one.port.host_port
    return ChainRule(
        f"-p {transport} {one.comment} -m {transport} --dport {number} -j {one.chain}",
        f"hostPort {number}: to {one.pod.netns}",
    )


def _to_pod(one: HostPort) -> tuple[ChainRule, ...]:
    transport, to = one.port.transport, f"{one.address}:{one.port.number}"
    return (
        ChainRule(
            f"-s {one.address}/32 {one.comment} -j {MARK_MASQUERADE}",
            "the pod called its own hostPort: only with another source does it answer itself",
        ),
        ChainRule(
            f"-p {transport} {one.comment} -m {transport} -j DNAT --to-destination {to}",
            f"to {one.pod.netns}",
        ),
    )
