"""A packet under way: where it is, what was done to it so far, and how it ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from testbed.explain.journey import End, FabricStep, Header, RoutingStep, Step, Visit
from testbed.explain.made import made
from testbed.explain.netfilter.conntrack import TableFull
from testbed.explain.netfilter.passage import Filtered, NotPredicted, Passage
from testbed.explain.netfilter.ruleset import Run
from testbed.explain.packet import Flow, Packet, address
from testbed.explain.reasons import dropped
from testbed.explain.routing.decision import Decision
from testbed.explain.walk.ends import filtered_end, sent_back
from testbed.explain.walk.facts.space import Space
from testbed.explain.walk.frames.links import Links
from testbed.net.facts import BridgePort

MOST_VISITS = 600  # more are a loop that costs no TTL: 255 hops have two visits each


class Ended(Exception):
    """The packet's way is over.

    told: what its sender is told by the namespace where it ended: an ICMP error's kind, `RST`.
    """

    def __init__(self, end: End, told: str = "") -> None:
        super().__init__(end.text)
        self.end = end
        self.told = told


@dataclass(slots=True)
class Trip:
    """One packet from namespace to namespace (state: all that changes on its way).

    noted: each visit is described, in `visits`.  sent: the flow that it began as.
    copied: what promiscuous bridges took of it, each copy with its namespace and port.
    """

    links: Links
    packet: Packet
    passage: Passage
    space: Space
    noted: bool = True
    visits: list[Visit] = field(default_factory=list)
    sent: Flow = field(init=False)
    copied: list[tuple[Packet, Space, BridgePort]] = field(default_factory=list)
    asking: Decision | None = None  # whose next hop, the destination itself, was asked for a MAC
    back_by: str = ""  # the device by which the last namespace sent it back
    places: list[str] = field(default_factory=list)  # the namespaces that it left
    _opened: tuple[str, Header, int] = field(init=False)
    _hooks: Mapping[str, Sequence[Run]] = field(init=False)
    _routed_at: int = 0  # the place of the last routing step

    def enter(self, space: Space, dev: str) -> None:
        """A visit begins: made here (dev empty), or come in by a device.  Raises Ended."""
        packet, passage = self.packet, self.passage
        self.space = space
        packet.iif, packet.oif = dev, ""
        passage.ns, passage.steps, passage.own = space.ns, [], space.own
        passage.mtu_to = space.mtu_to
        self._hooks = space.netfilter.hooks
        if not self.places:
            self.sent = packet.flow
        if self.noted:
            arrived = self.visits[-1].left if self.visits else None
            self._opened = dev, arrived or packet.header, packet.mark
        if len(self.places) >= MOST_VISITS:
            self.drop("X_LOOP", visits=MOST_VISITS)
        if space.netfilter.on_devices and dev:
            self.unknown(f"nft chains on the devices of {space.ns}")

    def pass_through(self, space: Space, back_by: str, *, is_end: bool) -> None:
        """A visit as it was made before; at the packet's end `leave` is still to be called."""
        self.back_by = back_by
        self.space = space
        if not self.places:
            self.sent = self.packet.flow
        if not is_end:
            self.places.append(space.ns)

    @property
    def previous(self) -> str:
        """The namespace it was in before."""
        return self.places[-1] if self.places else ""

    @property
    def is_loop(self) -> bool:
        """Whether it was here before."""
        return self.space.ns in self.places

    @property
    def visited(self) -> int:
        """How many namespaces it has been in, this one included."""
        return len(self.places) + 1

    def reopen(self) -> None:
        """The packet is as it is now when its visit begins: its source has just been chosen."""
        self.sent = self.packet.flow
        if self.noted:
            dev, _, mark = self._opened
            self._opened = dev, self.packet.header, mark

    def leave(self, dev: str) -> None:
        """The visit ends: by a device, to the next namespace; or here (empty)."""
        self.places.append(self.space.ns)
        self.back_by = dev if self._turns_back else ""
        if not self.noted:
            return
        dev_in, arrived, mark = self._opened
        packet = self.packet
        visit = made(
            Visit,
            ns=self.space.ns,
            dev_in=dev_in,
            dev_out=dev,
            arrived=arrived,
            left=packet.header if dev else None,
            mark_in=mark,
            mark_out=packet.mark,
            steps=tuple(self.passage.steps),
        )
        self.visits.append(visit)

    @property
    def _turns_back(self) -> bool:
        """Whether it leaves as it came: by the same device, to the same destination."""
        packet, connection = self.packet, self.packet.connection
        translated = connection is not None and connection.is_destination_translated
        return packet.iif == packet.oif and not translated

    def hook(self, hook: str) -> None:
        """Take the packet through a hook: `ip prerouting`.  Raises Ended."""
        stages = self._hooks.get(hook)
        if stages is None:
            return
        try:
            for stage in stages:
                stage(self.passage)
        except Filtered as filtered:
            self.filtered(filtered)
        except TableFull as full:
            self.drop("X_CONNTRACK_FULL", most=full.most)
        except NotPredicted as what:
            self.unknown(str(what))

    def output(self, reroute: Callable[[], None]) -> None:
        """Take an own packet through `ip output`; its route may have to be looked up again."""
        try:
            self.space.netfilter.pass_output(self.passage, reroute)
        except Filtered as filtered:
            self.filtered(filtered)
        except TableFull as full:
            self.drop("X_CONNTRACK_FULL", most=full.most)
        except NotPredicted as what:
            self.unknown(str(what))

    def filtered(self, filtered: Filtered) -> NoReturn:
        """A rule ended it."""
        end, name = filtered_end(self.space.ns, filtered, self.packet)
        if name:
            step = FabricStep(name=name, text=end.text, passed=False, why=filtered.step.why)
            self.passage.steps.append(step)
        if self.back_by:
            destination = address(self.packet.destination)
            end = sent_back(end, self.previous, self.back_by, destination)
        raise Ended(end, filtered.reject)

    def routed(self, decision: Decision) -> None:
        """Note a routing decision."""
        steps = self.passage.steps
        if steps and self._routed_at == len(steps) - 1 and _same(steps[-1], decision.step):
            return  # what a bridge asked for br_netfilter, and asks again of its own copy
        self._routed_at = len(steps)
        steps.append(decision.step)
        if decision.fabric:
            steps += decision.fabric

    def asked(self, answered: RoutingStep) -> None:
        """The last routing decision again, with what became of the question for the neighbour."""
        self.passage.steps[self._routed_at] = answered

    def drop(self, code: str, told: str = "", **words: object) -> NoReturn:
        """It ends here, for a reason."""
        packet = self.packet
        known = {
            "source": address(packet.source),
            "destination": address(packet.destination),
            **words,
        }
        raise Ended(dropped(code, self.space.ns, **known), told)

    def unknown(self, what: str) -> NoReturn:
        """Nobody knows what becomes of it."""
        self.drop("X_UNKNOWN", what=f"{what} (in {self.space.ns})")


def _same(one: Step, other: RoutingStep) -> bool:
    """Whether it is that decision, whatever became of the question for the neighbour."""
    return isinstance(one, RoutingStep) and replace(one, neighbour=other.neighbour) == other
