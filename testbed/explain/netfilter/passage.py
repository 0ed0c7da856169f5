"""A packet in one namespace, as its rules see it, and what rules do to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from operator import attrgetter
from typing import Any

from testbed.explain import fabric
from testbed.explain.journey import NetfilterStep, Step
from testbed.explain.netfilter.chains import CompiledRule, translation_text
from testbed.explain.netfilter.conditions import (
    ALL_BITS,
    Action,
    ChangePlaces,
    ChangeTtl,
    LowerMss,
    SetField,
    SetMark,
    Translate,
)
from testbed.explain.netfilter.conntrack import Tracking
from testbed.explain.netfilter.nat import set_up
from testbed.explain.netfilter.nft.words import part
from testbed.explain.packet import IP_AND_TCP, LARGEST, Packet
from testbed.explain.routing.local_table import OwnAddresses

Draw = Callable[[Sequence[float]], int]  # the place of the outcome that chance picks


class NotPredicted(Exception):
    """Something decides that is not understood."""


class Filtered(Exception):
    """A rule or a policy ended the packet.  reject: what its sender is told; empty for nothing."""

    def __init__(self, step: NetfilterStep, reject: str = "") -> None:
        super().__init__(step.rule)
        self.step = step
        self.reject = reject


@dataclass(slots=True)
class Passage:
    """A packet in one namespace, and all that rules may need or leave behind (state).

    next_hop: whose MAC the frame will get; what MASQUERADE chooses the address by.
    mtu_to: the largest packet that the route to an address takes.
    is_single: set where chance decided, or a bridge made a copy.
    """

    ns: str
    packet: Packet
    steps: list[Step]
    tracking: Tracking
    draw: Draw
    own: OwnAddresses
    next_hop: int = 0
    mtu_to: Callable[[int], int] = lambda _: LARGEST
    is_single: bool = False

    def happens(self, probability: float) -> bool:
        """Whether chance lets something happen; both are followed where both may be."""
        if probability in (0.0, 1.0):
            return probability == 1.0
        self.is_single = True
        return self.draw((1 - probability, probability)) == 1


Effect = Callable[[Passage], str]  # the verdict's words where they tell more than the rule's


def effects(rule: CompiledRule) -> tuple[Effect, ...]:
    """What a rule does to packets, one after the other.  They raise Filtered."""
    return tuple(_effect(change, rule) for change in rule.changes)


def _effect(action: Action, rule: CompiledRule) -> Effect:
    match action:
        case SetMark():
            return _marking(action)
        case ChangeTtl(by):
            return _changing_ttl(by)
        case LowerMss(most):
            return _lowering_mss(most)
        case SetField():
            return _setting(action, rule)
        case ChangePlaces():
            return _change_places
        case Translate():
            return lambda passage: _translate(action, rule, passage)
        case _:
            return _nothing


def _nothing(_: Passage) -> str:
    return ""


def _changing_ttl(by: int) -> Effect:
    def change(passage: Passage) -> str:
        packet = passage.packet
        packet.ttl = min(255, max(0, packet.ttl + by))
        return ""

    return change


def _lowering_mss(most: int) -> Effect:
    def change(passage: Passage) -> str:
        packet = passage.packet
        ways = packet.destination, packet.source
        carried = most or min(map(passage.mtu_to, ways)) - IP_AND_TCP
        packet.mss = min(packet.mss, carried)
        return ""

    return change


def _setting(action: SetField, rule: CompiledRule) -> Effect:
    mapped = rule.mapped if action.map else None

    def change(passage: Passage) -> str:
        packet = passage.packet
        if action.other:
            setattr(packet, action.field, getattr(packet, action.other))
        else:
            value = action.value if mapped is None else part(value_of(mapped(packet)))
            setattr(packet, action.field, value)
        return ""

    return change


def _change_places(passage: Passage) -> str:
    packet = passage.packet
    packet.source, packet.destination = packet.destination, packet.source
    return ""


def _marking(action: SetMark) -> Effect:
    """field = (field & kept) ^ value ^ (other & other_mask)."""
    kept, value, other_mask = ALL_BITS & ~action.mask, action.value, action.other_mask
    needs_connection = "ct_mark" in (action.field, action.other)
    of_packet = action.field == "mark"
    read, read_other = attrgetter(action.field), attrgetter(action.other or action.field)
    other_mask = other_mask if action.other else 0

    def change(passage: Passage) -> str:
        packet = passage.packet
        connection = packet.connection
        if needs_connection and connection is None:
            return ""
        mark = (read(packet) & kept) ^ value ^ (read_other(packet) & other_mask)
        if of_packet:
            packet.mark = mark
        elif connection is not None:
            connection.mark = mark
        return ""

    return change


def value_of(entry: Any) -> str:
    """The text of a map's entry: a fact's, or what is written in the rule itself."""
    return entry if isinstance(entry, str) else str(entry.value)


def _translate(action: Translate, rule: CompiledRule, passage: Passage) -> str:
    """Set up NAT for the packet's connection.  Raises Filtered without an address to use."""
    packet = passage.packet
    to, port = action.address, 0
    if rule.mapped is not None:
        host, _, number = value_of(rule.mapped(packet)).partition(" . ")
        to, port = int(IPv4Address(host)), int(number or 0)
    elif to is None:  # MASQUERADE
        to = passage.own.select(packet.oif, passage.next_hop)
        if not to:
            raise Filtered(replace(rule.step, verdict="drop"))
    if packet.connection is None:
        return ""
    if rule.fabric:
        passage.steps.append(fabric.translation(rule.fabric, action.side, packet, to))
    set_up(passage.tracking, passage.ns, packet.connection, action, to, port)
    packet.connection.initialized |= {action.side}
    return translation_text(action.side, to, action.ports)
