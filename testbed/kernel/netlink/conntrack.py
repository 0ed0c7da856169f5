"""How full a namespace's table of connections is, and what it counts.  Needs CAP_NET_ADMIN."""

import socket
import struct
from typing import NamedTuple

from testbed.kernel import sysctl
from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import Refusal, attribute, attributes

_NFGENMSG = struct.Struct(">BBH")  # family, version, resource
_U32 = struct.Struct(">I")
_ANY, _IPV4 = _NFGENMSG.pack(0, 0, 0), _NFGENMSG.pack(socket.AF_INET, 0, 0)
_NONE = bytes(4)
_ASSURED = _U32.pack(1 << 2)  # nf_conntrack_common.h: IPS_ASSURED
_EVICTION_RANGE = 8
_SUBSYSTEM = uapi.NFNL_SUBSYS_CTNETLINK << 8


class Table(NamedTuple):
    """The connections that a namespace remembers, and how many it may; 0 for any number."""

    entries: int
    most: int

    @property
    def is_full(self) -> bool:
        """Whether a new connection has no place."""
        return 0 < self.most <= self.entries


class Unsure(NamedTuple):
    """How many entries the kernel would give up for a new one, and over how many buckets.

    buckets: 0 where the kernel does not tell, as older ones in a user namespace.
    """

    entries: int
    buckets: int

    @property
    def none_near(self) -> float:
        """How likely a new connection finds none of them, and is lost where the table is full.

        nf_conntrack_core.c, early_drop: it looks in NF_CT_EVICTION_RANGE buckets, and every entry
        is in two, one for each direction.
        """
        if not (self.entries and self.buckets):
            return 1.0
        return max(0.0, 1 - 2 * _EVICTION_RANGE / self.buckets) ** self.entries


class Counters(NamedTuple):
    """What `conntrack -S` prints, of all processors together."""

    invalid: int
    insert_failed: int
    drop: int
    clash_resolve: int


def table() -> Table:
    """Of the calling thread's namespace, as `conntrack -C` counts; empty without ctnetlink.

    The number of entries is the namespace's own.  How many it may have is one setting for the
    whole machine: nf_conntrack_core.c, __nf_conntrack_alloc.
    """
    with NetlinkSocket(uapi.NETLINK_NETFILTER) as kernel:
        answer = kernel.ask(_SUBSYSTEM | uapi.IPCTNL_MSG_CT_GET_STATS, _ANY)
    if isinstance(answer, Refusal):
        return Table(0, 0)
    found = attributes(answer.body, _NFGENMSG.size)
    return Table(
        _number(found, uapi.CTA_STATS_GLOBAL_ENTRIES),
        _number(found, uapi.CTA_STATS_GLOBAL_MAX_ENTRIES),
    )


def unsure() -> Unsure:
    """Those that are not ASSURED: never answered, or UDP of less than two seconds.

    Kernels before 5.14 tell of the others too.  Raises KernelError.
    """
    asked = attribute(uapi.CTA_STATUS, _NONE) + attribute(uapi.CTA_STATUS_MASK, _ASSURED)
    with NetlinkSocket(uapi.NETLINK_NETFILTER) as kernel:
        told = kernel.dump(_SUBSYSTEM | uapi.IPCTNL_MSG_CT_GET, _IPV4 + asked)
    (assured,) = _U32.unpack(_ASSURED)
    entries = sum(
        not _number(attributes(one, _NFGENMSG.size), uapi.CTA_STATUS) & assured for one in told
    )
    return Unsure(entries, int(sysctl.read("net.netfilter.nf_conntrack_buckets") or 0))


def counters() -> Counters:
    """Of the calling thread's namespace, since it is there.  Raises KernelError."""
    kinds = (
        uapi.CTA_STATS_INVALID,
        uapi.CTA_STATS_INSERT_FAILED,
        uapi.CTA_STATS_DROP,
        uapi.CTA_STATS_CLASH_RESOLVE,
    )
    with NetlinkSocket(uapi.NETLINK_NETFILTER) as kernel:
        processors = [
            attributes(one, _NFGENMSG.size)
            for one in kernel.dump(_SUBSYSTEM | uapi.IPCTNL_MSG_CT_GET_STATS_CPU, _ANY)
        ]
    return Counters(*(sum(_number(one, kind) for one in processors) for kind in kinds))


def _number(found: dict[int, bytes], kind: int) -> int:
    """A number of the attributes; 0 where an older kernel does not have it."""
    number: int = _U32.unpack(found.get(kind, bytes(4)))[0]
    return number
