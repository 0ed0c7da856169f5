"""What `get` shows: a lab's objects as rows of plain values, each with a `name`.  Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any

from testbed.allocations import Allocations
from testbed.daemon.shown.networks import NETWORK_KINDS
from testbed.daemon.shown.nodes import NODE_KINDS
from testbed.daemon.shown.security import SECURITY_KINDS
from testbed.daemon.shown.services import endpoint_rows, service_rows
from testbed.daemon.shown.slices import slice_rows
from testbed.description.problem import nearest, quoted
from testbed.errors import UsageError
from testbed.lab import Lab
from testbed.net.drift.diff import Drift
from testbed.net.facts import (
    Address,
    Bridge,
    Chain,
    Fact,
    Neighbour,
    Netns,
    NftChain,
    Route,
    Rule,
    State,
    Veth,
)
from testbed.net.served.endpoints import Listener
from testbed.net.served.programs import Program
from testbed.net.show import show
from testbed.networks.site import router_address
from testbed.vpc.addresses import free_addresses
from testbed.vpc.naming import INTERNET

Row = dict[str, Any]

KERNEL_KINDS: dict[str, tuple[type[Fact], ...]] = {
    "rules": (Rule,),
    "routes": (Route,),
    "neighbours": (Neighbour,),
    "chains": (Chain, NftChain),
    "addresses": (Address,),
    "links": (Veth, Bridge),
}

CONNTRACK = "conntrack"  # a kind of no facts: what each kernel counts


def rows(kind: str, lab: Lab, allocations: Allocations) -> list[Row]:
    """All objects of a kind.  Raises UsageError with the kinds there are."""
    if kind not in KINDS:
        known = [*KINDS, *KERNEL_KINDS, CONNTRACK]
        close = nearest(kind, known) or f"; the kinds are {' '.join(sorted(known))}"
        raise UsageError(f"no kind {quoted(kind)}{close}")
    return list(KINDS[kind](lab, allocations))


def kernel_rows(kind: str, found: State, wanted: State) -> list[Row]:
    """Kernel objects of a kind as they are now, with the plan's reason for each."""
    facts = sorted((fact for fact in found if isinstance(fact, KERNEL_KINDS[kind])), key=order)
    return [
        {"name": _object(fact), **_values(fact), **row}
        for fact, row in zip(facts, reasoned(facts, wanted), strict=True)
    ]


def reasoned(found: Iterable[Fact], wanted: State) -> list[Row]:
    """Facts that were found as plain values, in the tools' order, with the plan's reason."""
    reasons = {fact: fact.why for fact in wanted}
    return [{**fact_row(fact), "why": reasons.get(fact, "")} for fact in sorted(found, key=order)]


def _object(fact: Fact) -> str:
    """Which object a fact is of: its namespace and what identifies it there, on one line."""
    if isinstance(fact, Chain | NftChain):
        return f"{fact.ns} {fact.table} {fact.name}"
    return f"{fact.ns} {' '.join(show(fact).split())}"


def _values(fact: Fact) -> Row:
    """The fact's own fields as plain values."""
    found = {field.name: getattr(fact, field.name) for field in fields(fact)}
    return {
        name: [str(one) for one in value]
        if isinstance(value, tuple)
        else value
        if isinstance(value, bool | int)
        else str("" if value is None else value)
        for name, value in found.items()
        if name not in ("ns", "name", "why")
    }


def fact_row(fact: Fact) -> Row:
    """A fact as plain values."""
    return {"ns": fact.ns, "kind": type(fact).__name__, "text": show(fact), "why": fact.why}


def program_row(program: Program) -> Row:
    """A program as plain values, like a fact."""
    return {"ns": program.netns, "kind": "Program", "text": program.name, "why": program.why}


def listener_row(listener: Listener) -> Row:
    """A port that is served, as plain values, like a fact."""
    why = "the testbed's own: a process that answers for pods"
    return {"ns": listener.netns, "kind": "Listener", "text": str(listener), "why": why}


def drift_rows(drift: Drift) -> Row:
    """A drift as plain values.

    Of a changed chain only the rules that differ, of a lost namespace nothing but itself.
    """
    lost = {fact.ns for fact in drift.missing if isinstance(fact, Netns)}
    missing = [f for f in drift.missing if f.ns not in lost or isinstance(f, Netns)]
    return {
        "missing": [fact_row(fact) for fact in sorted(missing, key=order)],
        "extra": [fact_row(fact) for fact in sorted(drift.extra, key=order)],
        "changed": [
            _changed_row(found, wanted)
            for found, wanted in sorted(drift.changed, key=lambda change: order(change.wanted))
        ],
    }


def _changed_row(found: Fact, wanted: Fact) -> Row:
    if isinstance(found, Chain | NftChain) and isinstance(wanted, Chain | NftChain):
        missing = [rule for rule in wanted.rules if rule not in found.rules]
        extra = [rule for rule in found.rules if rule not in wanted.rules]
        lines = [
            *(f"missing: {rule}" for rule in missing),
            *(f"not planned: {rule}" for rule in extra),
        ]
        reasons = [rule.why for rule in missing if rule.why] or [wanted.why]
        return {
            **fact_row(wanted),
            "text": f"{wanted.table} {wanted.name}",
            "found": "; ".join(lines) or "the same rules in another order",
            "why": "; ".join(reasons),
        }
    return {**fact_row(wanted), "found": show(found)}


def difference(drift: Drift, wanted: State) -> Row:
    """What bringing a drift to nothing writes and removes; the kernel adds what is implied."""
    written = wanted & {*drift.missing, *(change.wanted for change in drift.changed)}
    return {
        "add": [fact_row(fact) for fact in sorted(written, key=order)],
        "remove": [fact_row(fact) for fact in sorted(drift.extra, key=order)],
    }


def order(fact: Fact) -> tuple[str, str, int, str]:
    """By namespace, and within it as the tools list such facts."""
    match fact:
        case Rule():
            return fact.ns, type(fact).__name__, fact.priority, show(fact)
        case Route():
            return fact.ns, type(fact).__name__, fact.table, show(fact)
        case _:
            return fact.ns, type(fact).__name__, 0, show(fact)


def pending_rows(allocations: Allocations) -> list[Row]:
    """The pods that wait, each with the reason."""
    return [{"pod": one.pod, "reason": one.reason} for one in allocations.pending]


def _enis(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    for eni in allocations.enis:
        yield {
            "name": eni.id,
            "instance": eni.instance,
            "device": f"eth{eni.device_index}",
            "subnet": eni.subnet,
            "primary": str(eni.primary),
            "secondary": [str(address) for address in eni.secondary],
            "prefixes": [str(prefix) for prefix in eni.prefixes],
            "publicIp": str(eni.public_ip or ""),
            "sourceDestCheck": eni.source_dest_check,
            "mac": eni.mac,
            "type": eni.interface_type,
        }


def _subnets(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    for vpc in lab.vpcs:
        for subnet in vpc.subnets:
            enis = [e for e in allocations.enis if (e.vpc, e.subnet) == (vpc.name, subnet.name)]
            yield {
                "name": subnet.name,
                "vpc": vpc.name,
                "cidr": str(subnet.cidr),
                "zone": subnet.availability_zone,
                "routeTable": subnet.route_table,
                "freeAddresses": free_addresses(subnet.cidr)
                - sum(len(eni.delivered) for eni in enis),
            }


def _vpcs(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    for vpc in lab.vpcs:
        yield {
            "name": vpc.name,
            "cidrs": [str(cidr) for cidr in vpc.cidrs],
            "subnets": len(vpc.subnets),
            "natGateways": [gateway.name for gateway in vpc.nat_gateways],
            "internetGateway": vpc.internet_gateway,
        }


KINDS: dict[str, Callable[[Lab, Allocations], Iterator[Row]]] = {
    **NODE_KINDS,
    "services": service_rows,
    "endpoints": endpoint_rows,
    "endpointslices": slice_rows,
    "enis": _enis,
    "subnets": _subnets,
    "vpcs": _vpcs,
    **NETWORK_KINDS,
    **SECURITY_KINDS,
}


def addresses(lab: Lab, allocations: Allocations) -> dict[str, str]:
    """The address each name stands for: pods, instances, gateways, hosts, the internet's first."""
    named = {
        eni.instance: str(eni.primary)
        for eni in allocations.enis
        if eni.device_index == 0 and eni.interface_type != "transit_gateway"
    }
    named |= {place.pod: str(place.ip) for place in allocations.pods}
    for site in lab.on_premises:
        named[site.name] = str(router_address(site))
        named |= {host.name: str(host.address) for host in site.hosts}
    if lab.internet.hosts:
        named[INTERNET] = str(lab.internet.hosts[0])
    return named
