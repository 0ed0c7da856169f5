"""What kernels have learnt by themselves: who has which MAC.  Needs CAP_SYS_ADMIN to enter."""

import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import Descriptors, NamespaceStore
from testbed.kernel.netlink import decode, uapi
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import attributes
from testbed.net.facts import Neighbour

# include/net/neighbour.h, NUD_CONNECTED and what is asked again behind the packet's back: a frame
# is sent at once.  With any other state ARP decides.
USED = frozenset({"REACHABLE", "STALE", "DELAY", "PROBE"})

_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type


def learnt(store: NamespaceStore, names: Iterable[str]) -> frozenset[Neighbour]:
    """The IPv4 neighbours that these namespaces would send to without asking anybody.

    Raises KernelError.
    """
    found: list[Neighbour] = []
    with Descriptors(store) as spaces:
        for ns in names:
            with entered(spaces.of(ns)), NetlinkSocket() as kernel:
                found += _entries(ns, kernel.dump(*decode.DUMPS[Neighbour]))
    return frozenset(found)


def _entries(ns: str, bodies: Iterable[bytes]) -> Iterator[Neighbour]:
    names = dict(socket.if_nameindex())
    for body in bodies:
        _, index, state, _, _ = _NEIGHBOUR.unpack_from(body)
        name, found = uapi.NUD_NAMES.get(state, ""), attributes(body, _NEIGHBOUR.size)
        if name in USED and index in names:
            yield Neighbour(
                ns=ns,
                dev=names[index],
                ip=IPv4Address(found[uapi.NDA_DST]),
                mac=found[uapi.NDA_LLADDR].hex(":"),
                state=name,
            )
