"""Asks the kernel of a namespace which route it would take.  Needs CAP_SYS_ADMIN to enter."""

import errno
import os
import socket
import struct
from dataclasses import dataclass
from socket import AF_INET, AF_INET6

from testbed.errors import KernelError
from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.netlink import decode, uapi
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import Refusal, attribute, attribute_u32, attributes, u32
from testbed.net.facts import IpAddress, IpNetwork

_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg

# What a lookup without a next hop ends with: net/ipv4/fib_semantics.c, fib_props; ENETUNREACH when
# no rule leads to any route.
_REFUSALS = {
    errno.ENETUNREACH: "none",
    errno.EHOSTUNREACH: "unreachable",
    errno.EACCES: "prohibit",
    errno.EINVAL: "blackhole",
}
# For a packet that came in by a device the reverse path check is made first (rp_filter).  It ends
# with EXDEV, on newer kernels (6.18) with the EINVAL that a blackhole route gives too.
_REFUSALS_OF_INPUT = {**_REFUSALS, errno.EINVAL: "dropped", errno.EXDEV: "martian"}


@dataclass(frozen=True)
class RouteAnswer:
    """The route a packet takes.  Without a next hop only `kind` and the kernel's words are known.

    kind: `unicast`, `local`, `blackhole` … as `ip route` prints it; `none` when no rule leads to a
    route.  Of a packet that came in by a device: `martian` when the reverse path check refuses its
    source, `dropped` when the kernel does not tell this from a blackhole route.
    """

    kind: str
    table: int = 0
    dst: IpNetwork | None = None
    dev: str = ""
    via: IpAddress | None = None
    src: IpAddress | None = None
    scope: str = ""
    protocol: str = "boot"
    metric: int = 0
    onlink: bool = False
    mtu: int = 0  # bytes, where the route has its own
    error: str = ""


def route_get(
    store: NamespaceStore,
    ns: str,
    dst: IpAddress,
    src: IpAddress | None = None,
    iif: str = "",
    mark: int = 0,
) -> RouteAnswer:
    """The route of a packet to `dst`: sent from `ns` itself, or come in by the device `iif`.

    A packet's own source counts in rules; without `iif` it must be an address of `ns`.
    Raises KernelError: no such namespace or device, or a question the kernel cannot answer.
    """
    netns = store.open(ns)
    try:
        with entered(netns), NetlinkSocket() as kernel:
            answer = kernel.ask(uapi.RTM_GETROUTE, _question(ns, dst, src, iif, mark))
            if isinstance(answer, Refusal):
                return _refused(ns, f"ip route get {dst}", answer, bool(iif))
            return _answered(answer.body)
    finally:
        os.close(netns)


def _question(ns: str, dst: IpAddress, src: IpAddress | None, iif: str, mark: int) -> bytes:
    """Both flags: with FIB_MATCH alone the kernel says table main whatever the table was."""
    flags = uapi.RTM_F_LOOKUP_TABLE | uapi.RTM_F_FIB_MATCH
    family = AF_INET if dst.version == 4 else AF_INET6
    source = src.max_prefixlen if src else 0
    body = _ROUTE.pack(family, dst.max_prefixlen, source, 0, 0, 0, 0, 0, flags)
    body += attribute(uapi.RTA_DST, dst.packed)
    if src:
        body += attribute(uapi.RTA_SRC, src.packed)
    if iif:
        body += attribute_u32(uapi.RTA_IIF, _index(ns, iif))
    if mark:
        body += attribute_u32(uapi.RTA_MARK, mark)
    return body


def _index(ns: str, dev: str) -> int:
    try:
        return socket.if_nametoindex(dev)
    except OSError:
        raise KernelError(f"{ns}: there is no device '{dev}'") from None


def _refused(ns: str, question: str, answer: Refusal, came_in: bool) -> RouteAnswer:
    kind = (_REFUSALS_OF_INPUT if came_in else _REFUSALS).get(answer.errno)
    if kind is None:
        raise KernelError(f"{ns}: {question}: {answer}")
    return RouteAnswer(kind=kind, error=str(answer))


def _answered(body: bytes) -> RouteAnswer:
    family, length, _, _, table, protocol, scope, kind, flags = _ROUTE.unpack_from(body)
    found = attributes(body, _ROUTE.size)
    metrics = attributes(found.get(uapi.RTA_METRICS, b""))
    via, src = found.get(uapi.RTA_GATEWAY), found.get(uapi.RTA_PREFSRC)
    return RouteAnswer(
        kind=uapi.ROUTE_KIND_NAMES[kind],
        table=u32(found[uapi.RTA_TABLE]) if uapi.RTA_TABLE in found else table,
        dst=decode.network(family, found.get(uapi.RTA_DST, b""), length),
        dev=socket.if_indextoname(u32(found[uapi.RTA_OIF])) if uapi.RTA_OIF in found else "",
        via=decode.ip_address(family, via) if via else None,
        src=decode.ip_address(family, src) if src else None,
        scope=uapi.ROUTE_SCOPE_NAMES.get(scope, str(scope)),
        protocol=uapi.ROUTE_PROTOCOL_NAMES.get(protocol) or str(protocol),
        metric=u32(found[uapi.RTA_PRIORITY]) if uapi.RTA_PRIORITY in found else 0,
        onlink=bool(flags & uapi.RTNH_F_ONLINK),
        mtu=u32(metrics[uapi.RTAX_MTU]) if uapi.RTAX_MTU in metrics else 0,
    )
