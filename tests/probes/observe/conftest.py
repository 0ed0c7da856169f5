"""What the tests of observation share: observers of the lab, and questions put to both."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import pytest

from testbed.bed import Bed
from testbed.explain.evidence.observation import Observation
from testbed.explain.journey import Header, Protocol
from testbed.probes.observe.observer import Observer
from testbed.probes.observe.tracefs import Tracefs

Ask = Callable[..., list[Observation]]
UNSPECIFIED = IPv4Address(0)


@pytest.fixture(scope="module")
def observers(bed: Bed) -> Iterator[tuple[Observer, Observer]]:
    """One without tracefs, one with it."""
    with Observer(bed.store, tracefs=False) as base, Observer(bed.store) as both:
        yield base, both


@pytest.fixture
def tracefs() -> None:
    """Skips where this user, an ordinary one in a user namespace, has no tracefs."""
    try:
        Tracefs().close()
    except OSError as refused:
        pytest.skip(f"needs tracefs: {refused.strerror}")


@pytest.fixture
def ask(bed: Bed, observers: tuple[Observer, Observer]) -> Ask:
    """Observes a packet between names or addresses: without tracefs, then with it."""

    def observed(
        source: str, destination: str, protocol: Protocol = "tcp", port: int = 80, ttl: int = 64
    ) -> list[Observation]:
        header = Header(
            protocol=protocol,
            source=UNSPECIFIED,
            destination=bed.address(destination),
            destination_port=port,
            ttl=ttl,
        )
        return [
            observer.observe(bed.state, bed.store.names(), source, header)
            for observer in observers
        ]

    return observed
