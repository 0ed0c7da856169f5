"""What can be sent and followed: a probe, and what is said on the connection that it opens."""

from collections.abc import Iterable
from typing import Protocol

from testbed.explain.evidence.witnesses import Flow, Way
from testbed.explain.journey import Header
from testbed.probes.observe.sent.packets import Packet
from testbed.probes.observe.sent.patterns import Patterns


class Followed(Protocol):
    """A packet that can be told from all others.  sent: its header, complete once it was sent."""

    sent: Header

    @property
    def patterns(self) -> Patterns:
        """What tells it and its answers from all other traffic."""
        ...

    def send(self) -> str:
        """Send it; what the sender's own kernel has against it, in its words, or nothing."""
        ...

    def send_again(self, seen: Iterable[Flow]) -> None:
        """UDP: the same once more, now that the flows are known that answers will have."""
        ...

    def way(self, packet: Packet) -> Way | None:
        """What a packet is to it."""
        ...
