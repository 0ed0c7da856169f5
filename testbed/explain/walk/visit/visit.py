"""One namespace's part of a packet's way."""

from testbed.explain.walk.facts.space import Space
from testbed.explain.walk.frames.links import Arrival
from testbed.explain.walk.trip import Trip
from testbed.explain.walk.visit.receiving import arrive
from testbed.explain.walk.visit.sending import output


def visit(trip: Trip, space: Space, dev: str, *, is_answer: bool) -> Arrival | None:
    """Where a packet arrives next that comes in by a device, or is made here (dev empty).

    None where it is delivered.  Raises Ended.
    """
    if dev:
        return arrive(trip, space, dev)
    trip.enter(space, "")
    return output(trip, is_answer=is_answer)
