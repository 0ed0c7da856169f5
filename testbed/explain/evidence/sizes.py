"""Which device on a packet's way took it for too big, and told nobody."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from testbed.explain.evidence.planned import Planned
from testbed.explain.evidence.spine import Stay
from testbed.explain.evidence.witnesses import LAST, Device
from testbed.explain.walk.frames.sizes import SPARE


class Narrow(NamedTuple):
    """A device, its MTU, and the size of the packet that it did not take; in bytes."""

    where: str
    dev: str
    mtu: int
    size: int


def devices(stay: Stay, planned: Planned) -> Iterator[Device]:
    """The devices that took the packet, or did not: a bridge's port, the other end of a link."""
    ports = [one.dev for one in stay.went]
    handed_on = stay.at("bridge", "postrouting", LAST)
    if handed_on is not None and handed_on.oif not in ports:
        ports.append(handed_on.oif)
    for dev in ports:
        yield stay.ns, dev
        far = planned.place(stay.ns).peer(dev)
        if far is not None:
            yield far.peer_ns, far.peer


def too_narrow(stay: Stay, planned: Planned, mtus: Mapping[Device, int]) -> Narrow | None:
    """The device that the packet was too big for.  mtus: of `devices`; none where none counts."""
    size = stay.routed.size
    exact = stay.is_bridged and stay.reached("forward")  # br_netfilter showed it to iptables
    for where, dev in devices(stay, planned) if mtus else ():
        spare = 0 if exact and where == stay.ns else SPARE
        mtu = mtus.get((where, dev), size)
        if size > mtu + spare:
            return Narrow(where, dev, mtu, size)
    return None
