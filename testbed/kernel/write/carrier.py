"""Links that are ready for packets, which is later than the kernel's answer.  Needs CAP_SYS_ADMIN.

The end of a veth pair that comes up first has no carrier yet.  When its peer comes up, a work
queue finishes it (net/core/link_watch.c): at once, or on a busy machine after a second; until then
packets are dropped.  A bridge waits for its first port in the same way.  The end that comes up
last sends at once (drivers/net/veth.c: veth_open, then dev_activate).

Until the work queue has been there for the first time, a link's flags say `RUNNING` all the same
(operstate UNKNOWN counts as up): the operstate alone tells.
"""

import select
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from testbed.errors import KernelError
from testbed.kernel.namespaces.enter import enter, returning
from testbed.kernel.namespaces.store import Descriptors
from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import Refusal, attribute_text, attribute_u32, first_attribute
from testbed.net.drift.changes import LinkName, links
from testbed.net.facts import Bridge, BridgePort, Fact, State, Veth

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, changed flags
_QUESTION = _LINK.pack(0, 0, 0, 0, 0) + attribute_u32(
    uapi.IFLA_EXT_MASK, uapi.RTEXT_FILTER_SKIP_STATS
)
READY_S = 10.0
LOOK_S = 0.001


def await_carrier(spaces: Descriptors, names: Iterable[LinkName]) -> None:
    """Return when these links forward packets.

    Raises KernelError naming one that does not within READY_S.
    """
    waiting = sorted(set(names))
    deadline = time.monotonic() + READY_S
    while waiting := _idle(spaces, waiting):
        if time.monotonic() > deadline:
            ns, dev = waiting[0]
            raise KernelError(f"{ns}: {dev} is up, but has no carrier after {READY_S:g} s")
        select.select([], [], [], LOOK_S)


def _unknown(_: LinkName) -> bool:
    """For links that somebody else may have set up."""
    return False


def carrying(
    written: Iterable[Fact], wanted: State, last: Callable[[LinkName], bool] = _unknown
) -> Iterator[LinkName]:
    """The links that wait for a carrier when facts are written, and their bridges.  Pure.

    last: whether an end comes up last, and so waits for nothing.
    """
    veths = [fact for fact in written if isinstance(fact, Veth)]
    known = links(wanted) if veths else {}
    ports = (fact for fact in wanted if isinstance(fact, BridgePort)) if veths else ()
    bridges = {(port.ns, port.dev): port.bridge for port in ports}
    for veth in veths:
        ends = ((veth.ns, veth.name), (veth.peer_ns, veth.peer))
        if all(_is_up(known.get(end)) for end in ends):
            yield from (end for end in ends if not last(end))
            above = ((ns, bridges.get((ns, dev), "")) for ns, dev in ends)
            yield from (name for name in above if _is_up(known.get(name)))


def _is_up(link: Veth | Bridge | None) -> bool:
    return link is not None and link.up


def _idle(spaces: Descriptors, names: Iterable[LinkName]) -> list[LinkName]:
    """Those that do not carry packets yet, of names in order; 30 us for each namespace."""
    idle: list[LinkName] = []
    with returning():
        for ns, links_there in groupby(names, key=itemgetter(0)):
            enter(spaces.of(ns))
            with NetlinkSocket() as kernel:
                idle += [name for name in links_there if not _runs(kernel, name)]
    return idle


def _runs(kernel: NetlinkSocket, name: LinkName) -> bool:
    """Whether the link's work is done; the question itself gets it done (Linux 6.5 and later)."""
    ns, dev = name
    question = _QUESTION + attribute_text(uapi.IFLA_IFNAME, dev)
    answer = kernel.ask(uapi.RTM_GETLINK, question)
    if isinstance(answer, Refusal):
        raise KernelError(f"{ns}: {dev}: {answer}")
    state = first_attribute(answer.body, uapi.IFLA_OPERSTATE, _LINK.size)
    return state == uapi.IF_OPER_UP
