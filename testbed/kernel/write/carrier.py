"""Links that are ready for packets, which is later than the kernel's answer.  Needs CAP_SYS_ADMIN.

The end of a veth pair that comes up first has no carrier yet.  When its peer comes up, a work
queue finishes it (net/core/link_watch.c): at once, or on a busy machine after a second; until then
packets are dropped.  A bridge waits for its first port in the same way.  The end that comes up
last sends at once (drivers/net/veth.c: veth_open, then dev_activate).

Until the work queue has been there for the first time, a link's flags say `RUNNING` all the same
(operstate UNKNOWN counts as up): the operstate alone tells.

The queue takes links in the order in which something became of them, and all that are told to
send by it at once (linkwatch_urgent_event) before it rests.  So of many none is asked, 80 us each:
a pair that comes after all others, in a namespace that ends with it, tells when they are through.
"""

import os
import select
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
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
ASK_S = 80e-6  # for one link
MANY = 30  # links that take longer to be asked than a pair of our own to come and go
LEAST_MTU = 68  # RFC 791: too small for IPv6, which so stays away from our pair


class Waiting(NamedTuple):
    """Links that wait for a carrier."""

    ends: frozenset[LinkName]  # of veths
    bridges: frozenset[LinkName]


def await_carrier(spaces: Descriptors, waiting: Waiting) -> None:
    """Return when these links forward packets.

    Raises KernelError naming one that does not within READY_S.
    """
    many = len(waiting.ends) >= MANY
    through = many and _all_before_are_through(patience_s=ASK_S * len(waiting.ends))
    names = sorted(waiting.bridges if through else waiting.bridges | waiting.ends)
    deadline = time.monotonic() + READY_S
    while names := _idle(spaces, names):
        if time.monotonic() > deadline:
            ns, dev = names[0]
            raise KernelError(f"{ns}: {dev} is up, but has no carrier after {READY_S:g} s")
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


def _all_before_are_through(patience_s: float) -> bool:
    """Whether the queue comes to a new pair of ours in this time: then it was at all others."""
    near, far = (
        Veth(ns="", name=name, peer_ns="", peer=peer, mac=mac, mtu=LEAST_MTU)
        for name, peer, mac in (("a", "b", "02:00:00:00:00:0a"), ("b", "a", "02:00:00:00:00:0b"))
    )
    deadline = time.monotonic() + patience_s
    with returning(), suppress(OSError, MissingFeature):  # no namespace or descriptor is left
        here = unshared()
        try:
            with NetlinkSocket() as kernel:
                refused = kernel.send([new_veth(near, far, 2, 3, here), state(far, 3)])
                while not refused and time.monotonic() < deadline:
                    if _is_through(kernel, near.name):
                        return True
                    select.select([], [], [], LOOK_S)
        finally:
            os.close(here)
    return False


def _is_through(kernel: NetlinkSocket, dev: str) -> bool:
    """Whether the queue has been at a link by itself: a dump does not get its work done."""
    named = dev.encode() + b"\0"
    return any(
        first_attribute(link, uapi.IFLA_IFNAME, _LINK.size) == named and _has_carrier(link)
        for link in kernel.dump(uapi.RTM_GETLINK, _QUESTION)
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
