"""All pairs of a lab's pods predicted, by all processors where they are many."""

from collections.abc import Sequence
from functools import partial

from testbed.explain.reachability import Reachability, reachability
from testbed.explain.walk.predict import failure
from testbed.explain.walk.world import World
from testbed.kernel.machine.shares import shared_out
from testbed.net.served.endpoints import Endpoint

MANY = 40  # endpoints whose pairs (0.2 ms each) are worth processes (20 ms)


def all_pairs(world: World, endpoints: Sequence[Endpoint]) -> Reachability:
    """What becomes of every pair: the sources are shared out."""
    asked = partial(reachability, partial(failure, world), endpoints)
    if len(endpoints) < MANY:
        return asked(endpoints)
    found = shared_out(lambda sources: [asked([source]) for source in sources], endpoints)
    return {pair: reach for share in found for some in share for pair, reach in some.items()}
