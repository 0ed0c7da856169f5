"""hostPort by the CNI plugin `portmap`, which a runtime calls behind the one that made the link.

    nat PREROUTING, OUTPUT    to an address of the node -> CNI-HOSTPORT-DNAT
    nat CNI-HOSTPORT-DNAT     a jump for each pod's ports, the oldest first
    nat CNI-DN-…              mark what the pod itself or 127.0.0.1 sends; translate to the pod
    nat POSTROUTING           -> CNI-HOSTPORT-MASQ: what is marked gets the node's address

Clients outside keep their address.  Source: containernetworking/plugins v1.1.1,
plugins/meta/portmap.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha512
from ipaddress import IPv4Interface, IPv4Network
from itertools import groupby
from operator import attrgetter

from testbed.description.ports import Port
from testbed.kubernetes.model import Pod
from testbed.net.facts import Chain, ChainPiece, ChainRule, Fact, Sysctl

DNAT = "CNI-HOSTPORT-DNAT"
MASQUERADE = "CNI-HOSTPORT-MASQ"
SET_MARK = "CNI-HOSTPORT-SETMARK"
MARK = "0x2000/0x2000"  # markMasqBit: 13
LOCALHOST = IPv4Network("127.0.0.1/32")
OWNER = "portmap"
APPENDED = 210  # with a node's first hostPort: behind what is there already
INSERTED = 90  # in front of what is there already, kube-proxy's jump among it
LONGEST_NAME = 28  # characters: what the plugin takes for iptables' limit of a chain's name
MOST_PORTS = 15  # of a multiport match

WHY = "hostPorts (containernetworking/plugins v1.1.1, portmap)"


@dataclass(frozen=True)
class Attached:
    """What the plugin before answered of a pod: its link on its node, and its address."""

    pod: Pod
    node: str
    veth: str
    address: IPv4Interface


def portmap_facts(network: str, attached: Iterable[Attached]) -> Iterator[Fact]:
    """The chains of all pods with hostPorts; nothing on nodes where no pod has one.

    network: the name in the CNI's configuration.  attached: in the order the pods started.
    """
    mapped = sorted((one for one in attached if one.pod.host_ports), key=attrgetter("node"))
    for node, group in groupby(mapped, key=attrgetter("node")):
        pods = tuple(group)
        yield from _shared(node)
        jumps = tuple(rule for one in pods for rule in _jumps(network, one.pod))
        yield Chain(ns=node, table="nat", name=DNAT, rules=jumps, why=WHY)
        for one in pods:
            rules = tuple(rule for port in one.pod.host_ports for rule in _to_pod(one, port))
            name = pod_chain(network, one.pod)
            yield Chain(ns=node, table="nat", name=name, rules=rules, why=WHY)
            why = "127.0.0.1:HOSTPORT reaches the pod (portmap)"
            setting = f"net.ipv4.conf.{one.veth}.route_localnet"
            yield Sysctl(ns=node, name=setting, value="1", why=why)


def pod_chain(network: str, pod: Pod) -> str:
    """`CNI-DN-` and 21 digits of the SHA-512 of network and container."""
    return f"CNI-DN-{sha512(f'{network}{pod.sandbox}'.encode()).hexdigest()}"[:LONGEST_NAME]


def _shared(node: str) -> Iterator[Fact]:
    for chain, position, rule in (
        ("PREROUTING", APPENDED, _PORTALS),
        ("OUTPUT", APPENDED, _PORTALS),
        ("POSTROUTING", INSERTED, _TO_MASQUERADE),
    ):
        yield ChainPiece(
            ns=node,
            table="nat",
            chain=chain,
            owner=OWNER,
            position=position,
            rules=(rule,),
            why=WHY,
        )
    yield Chain(ns=node, table="nat", name=SET_MARK, rules=(_MARK_IT,), why=WHY)
    yield Chain(ns=node, table="nat", name=MASQUERADE, rules=(_MASQUERADE_MARKED,), why=WHY)


def _jumps(network: str, pod: Pod) -> Iterator[ChainRule]:
    """`-p tcp -m comment --comment "dnat name: …" -m multiport --dports 8080,8081 …`."""
    said = rf"dnat name: \"{network}\" id: \"{pod.sandbox}\""
    for transport in ("tcp", "udp"):
        ports = [port.host_port for port in pod.host_ports if port.transport == transport]
        for first in range(0, len(ports), MOST_PORTS):
            numbers = ",".join(map(str, ports[first : first + MOST_PORTS]))
            yield ChainRule(
                f'-p {transport} -m comment --comment "{said}"'
                f" -m multiport --dports {numbers} -j {pod_chain(network, pod)}",
                f"hostPort {numbers}: to {pod.netns}",
            )


def _to_pod(one: Attached, port: Port) -> Sequence[ChainRule]:
    """`-d` only for a hostIP that is one: 0.0.0.0 stands for all of the node's addresses."""
    some = port.host_ip is not None and not port.host_ip.is_unspecified
    own = f"-d {port.host_ip}/32 " if some else ""
    asked = f"{own}-p {port.transport} -m {port.transport} --dport {port.host_port}"
    return (
        ChainRule(
            f"-s {one.address.network} {asked} -j {SET_MARK}",
            "from the pod itself, or beside it: the answer has to come back here",
        ),
        ChainRule(
            f"-s {LOCALHOST} {asked} -j {SET_MARK}",
            "the node called its own 127.0.0.1: a pod could not answer that",
        ),
        ChainRule(
            f"{asked} -j DNAT --to-destination {one.address.ip}:{port.number}",
            f"to {one.pod.netns}",
        ),
    )


_PORTALS = ChainRule(
    f"-m addrtype --dst-type LOCAL -j {DNAT}",
    "to one of the node's own addresses: is it for a pod's hostPort?",
)
_TO_MASQUERADE = ChainRule(
    f'-m comment --comment "CNI portfwd requiring masquerade" -j {MASQUERADE}',
    "leaving the node: did portmap note that it needs this node's address?",
)
_MARK_IT = ChainRule(
    f'-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark {MARK}',
    "note on the packet: give it this node's address when it leaves",
)
_MASQUERADE_MARKED = ChainRule(
    f"-m mark --mark {MARK} -j MASQUERADE",
    "noted before: the packet gets this node's address, so the answer comes back here",
)
