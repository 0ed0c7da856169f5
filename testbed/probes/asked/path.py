"""The way of a packet as the kernels on it would take it now: nothing is sent.

An echo request, predicted in what the kernels have; of a random choice the likeliest outcome.
"""

from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from typing import Any

from testbed.explain.journey import Journey, RoutingStep, Visit
from testbed.explain.reachability import question
from testbed.explain.walk.predict import predict
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.net.facts import IpAddress, State
from testbed.probes.asked.present import Present

CHOSEN_BY_KERNEL = IPv4Address(0)


@dataclass(frozen=True)
class Hop:
    """One namespace on the way: what its kernel decided, and why the fact behind it exists.

    source, mark: of the packet as it was routed; a bridge that hands it on has no rule and table.
    """

    ns: str
    dev: str
    rule: str
    table: str
    route: str
    source: str
    mark: str
    why: str


@dataclass(frozen=True)
class Path:
    """The hops, and how it ended."""

    hops: tuple[Hop, ...]
    delivered: bool
    verdict: str
    code: str = ""

    def to_json(self) -> Any:
        """The path as JSON values."""
        return asdict(self)


def path(store: NamespaceStore, plan: State, start: str, destination: IpAddress) -> Path:
    """The way from a namespace to an address, and whether it arrives.  Raises KernelError."""
    header = question("icmp", CHOSEN_BY_KERNEL, destination)
    trip = predict(Present(store, plan), start, header)[0]
    return Path(
        hops=tuple(_hop(visit) for visit in trip.there.visits),
        delivered=trip.there.end.delivered,
        verdict=_verdict(trip.there),
        code=trip.there.end.code,
    )


def _verdict(journey: Journey) -> str:
    end = journey.end
    return "delivered" if end.delivered else f"dropped in {end.ns}: {end.text} ({end.code})"


def _hop(visit: Visit) -> Hop:
    routed = [step for step in visit.steps if isinstance(step, RoutingStep)]
    step = routed[-1] if routed else None
    return Hop(
        ns=visit.ns,
        dev=step.dev if step else visit.dev_out,
        rule=step.rule if step else "",
        table=step.table if step else "",
        route=step.route if step else "bridge" if visit.dev_out else "",
        source=str(visit.arrived.source),
        mark=f"{visit.mark_out:#x}" if visit.mark_out else "",
        why=step.why if step else "",
    )
