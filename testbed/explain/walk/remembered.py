"""Predictions for a packet of a connection that kernels may remember from before."""

from testbed.explain.journey import Header, RoundTrip
from testbed.explain.netfilter.remembered import Remembered, judged
from testbed.explain.walk.facts.sockets import Sockets
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World


def predict_remembered(
    world: World,
    start: str,
    header: Header,
    listeners: Sockets | None,
    remembered: tuple[Remembered, ...],
) -> tuple[tuple[RoundTrip, ...], tuple[RoundTrip, ...]]:
    """As `predict`: of a packet that meets these connections, and of one that is the first.

    The first ones name the memory as the reason where the second ones fare better.
    """
    new = predict(world, start, header, listeners)
    if not remembered:
        return new, new
    old = predict(world, start, header, listeners, remembered=remembered)
    return tuple(judged(one, new, remembered) for one in old), new
