"""How full a namespace's table of connections is, and what it counts.  Needs CAP_NET_ADMIN."""

import struct
from typing import NamedTuple

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import Refusal, attributes

_NFGENMSG = struct.Struct(">BBH")  # family, version, resource
_U32 = struct.Struct(">I")
_ANY = _NFGENMSG.pack(0, 0, 0)
_SUBSYSTEM = uapi.NFNL_SUBSYS_CTNETLINK << 8


class Table(NamedTuple):
    """The connections that a namespace remembers, and how many it may; 0 for any number."""

    entries: int
    most: int

    @property
    def is_full(self) -> bool:
        """Whether a new connection has no place."""
        return 0 < self.most <= self.entries


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
            attributes(one.body, _NFGENMSG.size)
            for one in kernel.dump(_SUBSYSTEM | uapi.IPCTNL_MSG_CT_GET_STATS_CPU, _ANY)
        ]
    return Counters(*(sum(_number(one, kind) for one in processors) for kind in kinds))


def _number(found: dict[int, bytes], kind: int) -> int:
    """A number of the attributes; 0 where an older kernel does not have it."""
    number: int = _U32.unpack(found.get(kind, bytes(4)))[0]
    return number
