"""What a probe asks and what it finds: the values that all probes share."""

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from testbed.errors import KernelError
from testbed.net.facts import IpAddress
from testbed.probes.sockets import family

Verdict = Literal["delivered", "refused", "timeout", "unreachable"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a probe ended.

    delivered: the destination answered.  refused: something answered with a reset.  timeout:
    silence.  unreachable: a kernel on the way, or the source's own, said so (a kernel on the way
    does not say it every time: Linux sends a host few such errors a second).
    reason: in the kernel's words.  answer: what an HTTP server said, if it was JSON.
    """

    verdict: Verdict
    reason: str = ""
    answer: Mapping[str, Any] | None = None

    @property
    def delivered(self) -> bool:
        """Whether the destination answered."""
        return self.verdict == "delivered"


DELIVERED = Outcome("delivered")
TIMEOUT = Outcome("timeout", "no answer")

REFUSALS = (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE)
UNREACHABLE = (
    errno.ENETUNREACH,  # no route, or an ICMP net unreachable
    errno.EHOSTUNREACH,  # a route of type unreachable, an unresolved neighbour, or an ICMP error
    errno.EACCES,  # a route of type prohibit
    errno.EINVAL,  # a route of type blackhole
    errno.EPERM,  # dropped by an output chain of the source
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,  # the source has no address
    errno.EPROTO,
    errno.ENOPROTOOPT,  # ICMP protocol unreachable
    errno.EHOSTDOWN,
    errno.ENONET,
)


def failed(number: int) -> Outcome:
    """The outcome an errno of a socket stands for.

    Raises KernelError: it says nothing of the network (too many open files).
    """
    reason = os.strerror(number)
    if number in REFUSALS:
        return Outcome("refused", reason)
    if number in UNREACHABLE:
        return Outcome("unreachable", reason)
    if number == errno.ETIMEDOUT:
        return TIMEOUT
    raise KernelError(f"a probe's socket failed: {reason}")


class Target(NamedTuple):
    """Where a probe goes, ready for the socket."""

    family: int
    address: tuple[str, int]

    @classmethod
    def of(cls, address: IpAddress, port: int = 0) -> "Target":
        """The target with this address and port."""
        return cls(family(address), (str(address), port))


class Row(NamedTuple):
    """All the probes of one source: a namespace, and what it probes."""

    netns: str
    targets: Sequence[Target]


Outcomes = list[list[Outcome]]  # a list for each row, an outcome for each of its targets
