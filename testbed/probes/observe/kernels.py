"""What a kernel answers about a packet's way: route, rules, the next hop's neighbour entry.

Needs CAP_SYS_ADMIN to enter the namespace.
"""

import socket
import struct
from collections.abc import Iterable, Iterator
from socket import AF_INET

from testbed.errors import KernelError
from testbed.explain.evidence.witnesses import Device, KernelRoute, Question
from testbed.kernel import sysctl
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.netlink import conntrack, decode, uapi
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import Message, Refusal, attribute, attributes, u32
from testbed.kernel.read.route import RouteAnswer, route_get
from testbed.net.facts import LOCAL, Address, IpAddress, Netns, Route, Rule, State, Sysctl
from testbed.probes.asked.listening import listening
from testbed.probes.sockets import inside

NO_ENTRY = "none"
IFF_LOWER_UP = 1 << 16  # linux/if.h
FOUND = ("unicast", "local", "broadcast")
OWN_KINDS = ("local", "broadcast")
# What decides whether a packet that came in is routed: Linux Documentation, ip-sysctl.rst
SETTINGS = (
    "accept_local",
    "forwarding",
    "route_localnet",
    "rp_filter",
    "send_redirects",
    "src_valid_mark",
)

_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, changed flags


class Kernels:
    """The kernels of a lab's namespaces, to be asked (state: none but the store)."""

    def __init__(self, store: NamespaceStore) -> None:
        self._store = store

    def route(self, asked: Question) -> KernelRoute:
        """The answers to a question.  Raises KernelError."""
        try:
            answer = route_get(
                self._store, asked.ns, asked.destination, asked.source, asked.iif, asked.mark
            )
        except KernelError:  # of what was made here: the source is none of its addresses
            answer = RouteAnswer(kind="unknown")
        with inside(self._store, asked.ns), NetlinkSocket() as kernel:
            if answer.kind not in FOUND:
                return KernelRoute(kind=answer.kind, space=_space(kernel, asked))
            works, mtu = _link(kernel, answer.dev)
            return KernelRoute(
                kind="local" if answer.kind in OWN_KINDS else answer.kind,
                route=_route(asked.ns, answer),
                rules=_rules(kernel, asked.ns),
                neighbour=_next_hop(kernel, asked, answer),
                works=works or answer.kind != "unicast",
                mtu=answer.mtu or mtu,
            )

    def mtus(self, devices: Iterable[Device]) -> dict[Device, int]:
        """The MTUs of devices that are there, in bytes."""
        found = {}
        for ns, dev in devices:
            with inside(self._store, ns), NetlinkSocket() as kernel:
                _, mtu = _link(kernel, dev)
            if mtu:
                found[ns, dev] = mtu
        return found

    def full(self, names: Iterable[str]) -> dict[str, int]:
        """Of the namespaces whose table of connections is full, how many those are."""
        found = {}
        for ns in names:
            with inside(self._store, ns):
                table = conntrack.table()
            if table.is_full:
                found[ns] = table.most
        return found

    def serves_udp(self, ns: str, port: int) -> bool:
        """Whether a socket is bound to a port, on whatever address."""
        served = listening(self._store, [ns])
        return any((one.protocol, one.port) == ("udp", port) for one in served)


def _route(ns: str, answer: RouteAnswer) -> Route:
    """The route as a fact.

    Without rules of its own a namespace has table local inside main, and says main of both.
    """
    assert answer.dst is not None
    return Route(
        ns=ns,
        dst=answer.dst,
        table=LOCAL if answer.kind in OWN_KINDS else answer.table,
        kind=answer.kind,
        dev=answer.dev,
        via=answer.via,
        src=answer.src,
        scope=answer.scope,
        protocol=answer.protocol,
        metric=answer.metric,
        onlink=answer.onlink,
        mtu=answer.mtu,
    )


def _rules(kernel: NetlinkSocket, ns: str) -> tuple[Rule, ...]:
    dump = kernel.dump(*decode.DUMPS[Rule])
    return tuple(fact for fact in decode.facts(ns, Rule, dump, {}) if isinstance(fact, Rule))


def _next_hop(kernel: NetlinkSocket, asked: Question, answer: RouteAnswer) -> str:
    if answer.kind != "unicast" or not answer.dev:
        return ""
    return neighbour(kernel, answer.dev, answer.via or asked.destination)


def neighbour(kernel: NetlinkSocket, dev: str, address: IpAddress) -> str:
    """`lladdr 02:… REACHABLE`, `FAILED`, `none`."""
    body = _NEIGHBOUR.pack(AF_INET, socket.if_nametoindex(dev), 0, 0, 0)
    answer = kernel.ask(uapi.RTM_GETNEIGH, body + attribute(uapi.NDA_DST, address.packed))
    return NO_ENTRY if isinstance(answer, Refusal) else _entry(answer)


def _link(kernel: NetlinkSocket, dev: str) -> tuple[bool, int]:
    """`LOWER_UP` and the MTU, as `ip link` has them; an MTU of 0 where there is no such device."""
    named = attribute(uapi.IFLA_IFNAME, dev.encode() + b"\0")
    answer = kernel.ask(uapi.RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0) + named)
    if isinstance(answer, Refusal):
        return False, 0
    _, _, _, flags, _ = _LINK.unpack_from(answer.body)
    return bool(flags & IFF_LOWER_UP), u32(attributes(answer.body, _LINK.size)[uapi.IFLA_MTU])


def _entry(answer: Message) -> str:
    """As `ip neigh` prints it."""
    _, _, state, _, _ = _NEIGHBOUR.unpack_from(answer.body)
    found = attributes(answer.body, _NEIGHBOUR.size)
    words = [f"lladdr {found[uapi.NDA_LLADDR].hex(':')}"] if uapi.NDA_LLADDR in found else []
    return " ".join([*words, uapi.NUD_NAMES.get(state, f"{state:#x}")])


def _space(kernel: NetlinkSocket, asked: Question) -> State:
    """All facts of the namespace that routing depends on."""
    ns, names = asked.ns, dict(socket.if_nameindex())
    found = decode.complete(
        fact
        for kind in (Address, Route, Rule)
        for fact in decode.facts(ns, kind, kernel.dump(*decode.DUMPS[kind]), names)
    )
    return frozenset([Netns(ns=ns), *found, *_settings(ns, asked.iif)])


def _settings(ns: str, dev: str) -> Iterator[Sysctl]:
    yield from _setting(ns, "net.ipv4.ip_forward")
    for setting in SETTINGS:
        for of in ("all", "default", *([dev] if dev else [])):
            yield from _setting(ns, f"net.ipv4.conf.{of}.{setting}")


def _setting(ns: str, name: str) -> Iterator[Sysctl]:
    value = sysctl.read(name)
    if value is not None:
        yield Sysctl(ns=ns, name=name, value=value)
