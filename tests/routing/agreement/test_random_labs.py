"""Labs that nobody has designed: what is accepted comes up, is as planned, and goes as predicted.

pytest tests/routing/agreement/test_random_labs.py --rounds 100 [--seed N]
"""

import warnings
from collections.abc import Iterator
from itertools import permutations

import pytest
import yaml

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.errors import DescriptionError, MissingFeature
from testbed.explain.reachability import question, reach
from testbed.explain.walk.facts.sockets import Sockets
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World
from testbed.lab import Lab
from testbed.load import parse
from testbed.net.served.endpoints import Probed
from testbed.plan import endpoints, served
from testbed.probes.matrix import matrix
from tests.inputs.mutations import TOPOLOGIES, Mutator

pytestmark = pytest.mark.kernel

FILES = sorted(TOPOLOGIES.glob("*.yaml"))
MOST_PODS = 12  # a lab of more is another test's
SILENCE_S = 1.0


def labs(seed: int, many: int) -> Iterator[tuple[str, Lab]]:
    """So many good labs, and the text of each."""
    mutator = Mutator(FILES, seed)
    while many:
        text = yaml.safe_dump(mutator.tree(), allow_unicode=True, sort_keys=False)
        lab = accepted(text)
        if lab and sum(len(cluster.pods) for cluster in lab.clusters) <= MOST_PODS:
            many -= 1
            yield text, lab


def accepted(text: str) -> Lab | None:
    """The lab of a text; None where it is refused."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return parse(text, str(TOPOLOGIES / "random.yaml"))
    except DescriptionError:
        return None


def predicted(lab: Bed, protocol: Probed) -> dict[tuple[str, str], bool]:
    """For every two ends whether a connection between them is predicted to stand."""
    world, listeners = World.planned(lab.state), Sockets(served(lab.lab, lab.allocations))
    ends = endpoints(lab.lab, lab.allocations)
    found = {}
    for source, to in permutations(ends, 2):
        if source.netns == to.netns or to.port(protocol) is None:
            continue  # the matrix asks none of these
        own, address = lab.address(source.name), lab.address(to.name)
        asked = question(protocol, own, address, to.port(protocol) or 0)
        trips = predict(world, source.netns, asked, listeners)
        found[source.name, to.name] = reach(trips).delivered
    return found


def assert_as_predicted(lab: Bed) -> None:
    """No drift, and the matrix finds what is predicted."""
    assert not lab.drift()
    for protocol in ("icmp", "tcp"):
        expected = predicted(lab, protocol)
        found = matrix(
            lab.store,
            endpoints(lab.lab, lab.allocations),
            protocol,
            lambda a, b, _, expected=expected: "delivered" if expected[a, b] else "blocked",
            timeout_s=SILENCE_S,
        )
        assert found.failed == (), "a pair that nobody at all reaches is inconclusive, rightly"


def test_labs_that_nobody_designed(request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--seed") or 1  # the same labs for everybody
    for number, (text, lab) in enumerate(labs(seed, request.config.getoption("--rounds"))):
        try:
            with bring_up(lab) as up:
                assert_as_predicted(up)
        except MissingFeature:
            continue  # a module that this machine lacks; named by `up`, and tested elsewhere
        except Exception as failed:
            failed.add_note(f"--seed {seed}, lab {number}:\n{text}")
            raise
