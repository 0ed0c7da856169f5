"""Links that are ready for packets, which is later than the kernel's answer.  Needs CAP_SYS_ADMIN.

The end of a veth pair that comes up first has no carrier yet.  When its peer comes up, a work
queue finishes it (net/core/link_watch.c): at once, or on a busy machine after a second; until then
packets are dropped.  A bridge waits for its first port in the same way.  The end that comes up
last sends at once (drivers/net/veth.c: veth_open, then dev_activate).

Until the work queue has been there for the first time, a link's flags say `RUNNING` all the same
(operstate UNKNOWN counts as up): the operstate alone tells.

The queue takes links in the order in which something became of them, and all that are told to
send by it at once (linkwatch_urgent_event) before it rests.  So of many few are asked: a
pair that comes after all others, in a namespace that ends with it, tells when they are through.
"""

import os
import select
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from testbed.errors import KernelError, MissingFeature
from testbed.kernel.namespaces.enter import enter, returning, unshared
from testbed.kernel.namespaces.store import Descriptors
from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.encode_links import new_veth, state
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
AT_ONCE = 20  # links asked, 80 us each, between two looks whether all of them are ready
MANY = 2 * AT_ONCE  # links that are worth a pair of our own
LEAST_MTU = 68  # RFC 791: too small for IPv6, which so stays away from our pair


class Waiting(NamedTuple):
    """Links that wait for a carrier."""

    ends: frozenset[LinkName]  # of veths
    bridges: frozenset[LinkName]


def await_carrier(spaces: Descriptors, waiting: Waiting) -> None:
    """Return when these links forward packets.

    Raises KernelError naming one when for READY_S none has come to do so.
    """
    names = [*sorted(waiting.ends), *sorted(waiting.bridges)]
    deadline = time.monotonic() + READY_S
    with ExitStack() as undo:
        last = undo.enter_context(_last_pair()) if len(waiting.ends) >= MANY else None
        while names:
            if last and _is_through(last):
                names = [name for name in names if name in waiting.bridges]
            some, names = names[:AT_ONCE], names[AT_ONCE:]
            idle = _idle(spaces, some)
            names += idle
            if idle != some:
                deadline = time.monotonic() + READY_S
            elif time.monotonic() > deadline:
                ns, dev = idle[0]
                raise KernelError(f"{ns}: {dev} is up, but has no carrier after {READY_S:g} s")
            elif idle:
                select.select([], [], [], LOOK_S)


def _unknown(_: LinkName) -> bool:
    """For links that somebody else may have set up."""
    return False


def carrying(
    written: Iterable[Fact], wanted: State, last: Callable[[LinkName], bool] = _unknown
) -> Waiting:
    """The links that wait for a carrier when facts are written, and their bridges.  Pure.

    last: whether an end comes up last, and so waits for nothing; but its bridge waits for it.
    """
    veths = [fact for fact in written if isinstance(fact, Veth)]
    known = links(wanted) if veths else {}
    ports = (fact for fact in wanted if isinstance(fact, BridgePort)) if veths else ()
    above = {(port.ns, port.dev): (port.ns, port.bridge) for port in ports}
    ends = set[LinkName]()
    for veth in veths:
        pair = ((veth.ns, veth.name), (veth.peer_ns, veth.peer))
        if all(_is_up(known.get(end)) for end in pair):
            ends.update(pair)
    return Waiting(
        ends=frozenset(end for end in ends if end in above or not last(end)),
        bridges=frozenset(
            above[end] for end in ends & above.keys() if _is_up(known.get(above[end]))
        ),
    )


def _is_up(link: Veth | Bridge | None) -> bool:
    return link is not None and link.up


@contextmanager
def _last_pair() -> Iterator[NetlinkSocket | None]:
    """A socket beside a new pair, which is behind all others in the queue.

    Its namespace lasts as long as it does.  None: no namespace or descriptor is left for it.
    """
    near, far = (
        Veth(ns="", name=name, peer_ns="", peer=peer, mac=mac, mtu=LEAST_MTU)
        for name, peer, mac in (("a", "b", "02:00:00:00:00:0a"), ("b", "a", "02:00:00:00:00:0b"))
    )
    with ExitStack() as undo:
        kernel = None
        with suppress(OSError, MissingFeature), returning():
            here = unshared()
            undo.callback(os.close, here)
            kernel = undo.enter_context(NetlinkSocket())
            kernel.send([new_veth(near, far, 2, 3, here), state(far, 3)])
        yield kernel


def _is_through(last: NetlinkSocket) -> bool:
    """Whether the queue has been at that pair by itself: a dump does not get its work done."""
    return any(
        first_attribute(link, uapi.IFLA_IFNAME, _LINK.size) == b"a\0" and _has_carrier(link)
        for link in last.dump(uapi.RTM_GETLINK, _QUESTION)
    )


def _idle(spaces: Descriptors, names: Sequence[LinkName]) -> list[LinkName]:
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
    return _has_carrier(answer.body)


def _has_carrier(link: bytes) -> bool:
    return first_attribute(link, uapi.IFLA_OPERSTATE, _LINK.size) == uapi.IF_OPER_UP
