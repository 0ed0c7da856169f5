"""Short questions to an observation."""

from testbed.explain.evidence.observation import Observation
from testbed.explain.journey import FabricStep, Journey, NetfilterStep, RoutingStep, Visit


def path(journey: Journey | None) -> list[str]:
    """The namespaces on a way; none where there was none."""
    return [visit.ns for visit in journey.visits] if journey else []


def visit(observation: Observation, ns: str) -> Visit:
    """The first visit to a namespace on the way there."""
    return next(one for one in observation.round_trip.there.visits if one.ns == ns)


def decisions(one: Visit) -> list[RoutingStep]:
    """The routing decisions of a visit."""
    return [step for step in one.steps if isinstance(step, RoutingStep)]


def rules(one: Visit) -> list[NetfilterStep]:
    """The netfilter rules of a visit."""
    return [step for step in one.steps if isinstance(step, NetfilterStep)]


def fabric(one: Visit) -> list[FabricStep]:
    """What a visit is in AWS's words."""
    return [step for step in one.steps if isinstance(step, FabricStep)]
