"""How a journey ended, from where its last witnesses saw the packet and what that kernel says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from testbed.explain.evidence.correlate import Knowledge, evaluated, filtered, rules, space
from testbed.explain.evidence.sizes import too_narrow
from testbed.explain.evidence.spine import Stay
from testbed.explain.evidence.witnesses import FIRST, LAST, NOT_ITS_ADDRESS, Flow, Question, Way
from testbed.explain.fabric import is_hairpin
from testbed.explain.journey import End, Header
from testbed.explain.netfilter.conntrack import Tracking
from testbed.explain.netfilter.passage import Passage
from testbed.explain.packet import Packet
from testbed.explain.reasons import dropped, unexpected
from testbed.explain.speech import expired
from testbed.explain.walk.ends import sent_back
from testbed.explain.walk.trip import Ended, Trip
from testbed.explain.walk.visit.incoming import incoming, refuse
from testbed.explain.walk.world import World
from testbed.net.facts import IpAddress

UNRESOLVED = ("INCOMPLETE", "FAILED", "NONE", "none")
CLOSED = ("RST,ACK", "RST", "port-unreachable", "prot-unreachable")


@dataclass(frozen=True)
class Case:
    """A journey to be judged: its last stay, and what came of it.

    start, sent: where the probe was sent, and its header.  watched: the namespaces.
    refused: what the sender's kernel answered to sending.  is_closed: nobody listens there.
    earlier: the stays before.  there: of an answer, the namespaces that the packet was in.
    """

    way: Way
    stay: Stay
    known: Knowledge
    start: str
    sent: Header
    watched: frozenset[str]
    refused: str = ""
    is_closed: bool = False
    earlier: tuple[Stay, ...] = ()
    there: tuple[str, ...] = ()

    @property
    def question(self) -> Question | None:
        """What the last routing decision depended on."""
        return next(reversed(self.stay.questions()), None)


def ending(case: Case) -> End:
    """How it ended."""
    for judge in JUDGES:
        end = judge(case)
        if end is not None:
            return end
    return _end(case, "X_LOST", where=_last_place(case.stay))


def _by_source(case: Case) -> End | None:
    """The sender has not the address that it should send from."""
    return _end(case, "X_NO_SOURCE") if case.refused == NOT_ITS_ADDRESS else None


def _by_rule(case: Case) -> End | None:
    """nft trace told of a drop."""
    last = case.stay.dropped
    if last is None:
        return None
    *_, step = rules(last, case.known)
    end = filtered(last, step)[0]
    before = case.earlier[-1] if case.earlier else case.stay
    if not (before.came and before.went):
        return end
    came, went = before.came[0], before.went[-1]
    if (came.dev, came.header.destination) != (went.dev, went.header.destination):
        return end
    return sent_back(end, before.ns, went.dev, went.header.destination)


def _by_full_table(case: Case) -> End | None:
    """No rule dropped it, and its kernel remembers as many connections as it may."""
    most = case.known.full.get(case.stay.ns, 0)
    if not most or not case.stay.is_stopped_at_once:
        return None
    return _end(case, "X_CONNTRACK_FULL", most=most)


def _delivered(case: Case) -> End | None:
    """It passed INPUT."""
    stay, passed = case.stay, case.stay.at("ip", "input", LAST)
    if passed is None:
        return None
    here = passed.header  # the answer to what OUTPUT translated is translated back in INPUT
    if case.way == "there" and case.is_closed:
        return _end(case, "X_CLOSED_PORT", port=here.destination_port)
    if case.way == "back" and not _is_answer(here, case):
        called = _endpoint(case.sent, case.sent.destination, case.sent.destination_port)
        if is_hairpin(case.there, (one.ns for one in (*case.earlier, stay))):
            return _end(case, "X_NLB_HAIRPIN", what=unexpected(stay.ns, here.source, called))
        return _end(case, "X_UNEXPECTED_REPLY", called=called)
    return End(delivered=True, ns=stay.ns, text=_arrival(case))


def _is_answer(here: Header, case: Case) -> bool:
    """Whether what came back is from whom was called."""
    sent, came = Flow.of(case.sent).turned(), Flow.of(here)
    if here.protocol == "icmp":
        return (came.source, case.stay.ns) == (sent.source, case.start)
    return (came, case.stay.ns) == (sent, case.start)


def _by_route(case: Case) -> End | None:
    """The kernel has no route for it, or does not believe where it came from."""
    asked = case.question
    if asked is None or case.stay.went or not case.known.routes[asked].is_end:
        return None
    here = space(asked, case.known)
    packet = Packet(case.stay.routed)
    packet.mark = asked.mark
    passage = Passage(asked.ns, packet, [], Tracking(), lambda _: 0, here.own)
    places = [one.ns for one in case.earlier]
    trip = Trip(World(frozenset()).links, packet, passage, here, places=places)
    try:
        trip.enter(here, asked.iif)
        if asked.iif:
            incoming(trip, asked.iif, noted=False)
        else:
            refuse(trip, evaluated(asked, case.known))
    except Ended as ended:
        return ended.end
    return None


def _by_ttl(case: Case) -> End | None:
    """It came to be forwarded with nothing left."""
    stay = case.stay
    if not stay.is_expired:
        return None
    if any(one.ns == stay.ns for one in case.earlier):
        return _end(case, "X_LOOP", visits=len(case.earlier) + 1)
    return _end(case, expired(stay.routed.source))


def _by_size(case: Case) -> End | None:
    """It was larger than what is taken by a link, or by the device it was to be forwarded by."""
    stay, asked, known = case.stay, case.question, case.known
    narrow = too_narrow(stay, known.planned, known.mtus)
    if narrow is not None:
        return _end(case, "X_MTU_MISMATCH", **narrow._asdict())
    if asked is None or stay.went or stay.reached("forward", FIRST) or not case.sent.size:
        return None
    answer, size = known.routes[asked], stay.routed.size
    if answer.route is None or answer.kind != "unicast" or size <= answer.mtu:
        return None
    return _end(case, "X_MTU_EXCEEDED", dev=answer.route.dev, mtu=answer.mtu, size=size)


def _by_link(case: Case) -> End | None:
    """It was to go out, but the link does not work, or nobody answered for the next hop."""
    stay, asked = case.stay, case.question
    if asked is None or stay.went or not stay.reached("postrouting"):
        return None
    answer = case.known.routes[asked]
    if answer.route is None:
        return None
    dev = answer.route.dev
    if not answer.works:
        empty = case.known.planned.place(asked.ns).space.is_empty(dev)
        return _end(case, "X_EMPTY_BRIDGE" if empty else "X_LINK_DOWN", dev=dev)
    if answer.neighbour in UNRESOLVED:
        next_hop = answer.route.via or asked.destination
        return _end(case, "X_NO_NEIGHBOUR", dev=dev, next_hop=next_hop)
    return None


def _by_hairpin(case: Case) -> End | None:
    """It was translated to whoever sent it, behind the bridge's port by which it came."""
    stay, planned = case.stay, case.known.planned
    dev = stay.came[0].dev if stay.came else ""
    link = planned.place(stay.ns).peer(dev)
    if not link or not planned.place(stay.ns).is_port(dev) or dev in {s.dev for s in stay.went}:
        return None
    behind = planned.place(link.peer_ns).space.addresses
    if any(one.ip.ip == stay.routed.destination for one in behind):
        return _end(case, "X_HAIRPIN", dev=dev)
    return None


def _by_bridge(case: Case) -> End | None:
    """A bridge sent it, and none of its ports did."""
    stay, place = case.stay, case.known.planned.place(case.stay.ns)
    if not stay.went:
        return None
    last = stay.went[-1].dev
    bridge = place.space.ports[last].bridge if stay.flooded else last
    if not place.is_bridge(bridge):
        return None
    return _end(case, "X_NO_PORT", dev=bridge, mac=_sent_to(case, stay))


def _sent_to(case: Case, *last: Stay) -> str:
    """The MAC that the frame was sent to, by the last who routed it: `lladdr 02:… REACHABLE`."""
    for stay in (*last, *reversed(case.earlier)):
        for asked in reversed(stay.questions()):
            words = case.known.routes[asked].neighbour.split()
            return words[1] if words[:1] == ["lladdr"] else "another MAC"
    return "another MAC"


def _by_wire(case: Case) -> End | None:
    """It went out, and was not seen where the plan says it comes in."""
    if not case.stay.went:
        return None
    out = case.stay.went[-1]
    link = case.known.planned.place(out.ns).peer(out.dev)
    if link is None or link.peer_ns not in case.watched:
        beyond = link.peer_ns if link else f"what is behind {out.dev}"
        return _end(case, "X_UNWATCHED", beyond=beyond)
    return _end(case, "X_LINK_DOWN", dev=out.dev)


def _by_mac(case: Case) -> End | None:
    """The frame was for another MAC, and there is no bridge that could hand it on."""
    stay = case.stay
    if not case.earlier or not stay.came or not stay.is_stray:
        return None
    before = case.earlier[-1]
    dev = stay.came[-1].dev
    return _end(case, "X_WRONG_MAC", dev=dev, mac=_sent_to(case), sender=before.ns)


def _refused(case: Case) -> End | None:
    """The sender's own kernel said so."""
    if not case.refused or case.stay.sightings:
        return None
    return _end(case, "X_LOST", where=f"which answered its sender: {case.refused}")


Judge = Callable[[Case], End | None]
JUDGES: tuple[Judge, ...] = (
    _by_source,
    _by_rule,
    _by_full_table,
    _delivered,
    _by_route,
    _by_ttl,
    _by_size,
    _by_link,
    _by_hairpin,
    _by_bridge,
    _by_wire,
    _by_mac,
    _refused,
)


def _end(case: Case, code: str, **words: object) -> End:
    header = case.stay.routed
    common: Mapping[str, object] = {
        "source": header.source,
        "destination": header.destination,
        "protocol": header.protocol,
    }
    return dropped(code, case.stay.ns, **{**common, **words})


def _arrival(case: Case) -> str:
    """What the other side saw."""
    here = case.stay.routed
    origin = _endpoint(here, here.source, here.source_port)
    if case.way == "there":
        return f"{case.stay.ns} saw {origin}"
    return f"{case.stay.ns} got {here.kind or 'the answer'} from {origin}"


def _endpoint(header: Header, address: IpAddress, port: int) -> str:
    return str(address) if header.protocol == "icmp" else f"{address}:{port}"


def _last_place(stay: Stay) -> str:
    """Where the witnesses saw it last."""
    if stay.went:
        return f"sending it by {stay.went[-1].dev}"
    own = [one for one in stay.traversals if one.own]
    if own:
        return f"past {own[-1].hook}"
    return f"having received it by {stay.came[-1].dev}" if stay.came else "making it"
