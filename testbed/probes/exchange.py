"""Many connections at once: each is a small exchange, begun in the namespace of its source."""

import resource
import select
import time
from _socket import socket as CSocket  # noqa: N812 - the C class: no Python around each call
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from testbed.errors import KernelError
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.probes.outcome import TIMEOUT, Outcome, Outcomes, Row, Target
from testbed.probes.sockets import inside

CONNECTING = select.EPOLLOUT  # the two stages of an exchange, by the event each waits for
ANSWERING = select.EPOLLIN
MOST_ANSWERING = 256  # questions the servers have at a time
MOST_CONNECTING = 4096  # they cost nobody anything: all that are denied share one deadline
# A lost packet is made good by a second attempt: the kernel repeats a SYN only after 1 s.
ATTEMPTS = (1 / 3, 2 / 3)  # of the time a probe has


class Exchange(Protocol):
    """A connection and how far it has come."""

    socket: CSocket
    events: int  # CONNECTING or ANSWERING

    def advance(self) -> Outcome | None:
        """Go on as far as possible without waiting; how it ended, or none: wait for `events`."""


class _Waiting(NamedTuple):
    exchange: Exchange
    row: int
    column: int
    deadline: float


def run(
    store: NamespaceStore,
    rows: Sequence[Row],
    begin: Callable[[Target], Exchange],
    *,
    timeout_s: float,
) -> Outcomes:
    """The outcome of an exchange with every target of every row.

    timeout_s: for each stage of each exchange, all its attempts together.
    Raises KernelError (no such namespace, no free descriptors).
    """
    outcomes = [[TIMEOUT] * len(row.targets) for row in rows]
    for share in ATTEMPTS:
        flight = _Flight(outcomes, share * timeout_s)
        try:
            for number, row in enumerate(rows):
                silent = [i for i, outcome in enumerate(outcomes[number]) if outcome is TIMEOUT]
                if silent:
                    with inside(store, row.netns):
                        for column in silent:
                            flight.launch(begin(row.targets[column]), number, column)
            flight.land()
        except OSError as error:
            raise KernelError(f"cannot probe: {error.strerror}") from error
        finally:
            flight.abandon()
    return outcomes


class _Flight:
    """The exchanges under way; its state: who waits, by stage, the earliest deadline first."""

    def __init__(self, outcomes: Outcomes, timeout_s: float) -> None:
        self._outcomes = outcomes
        self._timeout_s = timeout_s
        self._epoll = select.epoll()
        self._waiting: dict[int, dict[int, _Waiting]] = {CONNECTING: {}, ANSWERING: {}}
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_connecting = min(MOST_CONNECTING, descriptors // 4)

    def launch(self, exchange: Exchange, row: int, column: int) -> None:
        """Begin an exchange; first make room for it, if many are under way."""
        outcome = exchange.advance()
        if outcome:
            self._outcomes[row][column] = outcome
            exchange.socket.close()
            return
        self._epoll.register(exchange.socket.fileno(), exchange.events)
        self._wait(_Waiting(exchange, row, column, time.monotonic() + self._timeout_s))
        while self._crowded():
            self._turn()

    def land(self) -> None:
        """Wait until every exchange has ended or is out of time."""
        while any(self._waiting.values()):
            self._turn()

    def abandon(self) -> None:
        """Close what is still open."""
        for stage in self._waiting.values():
            for waiting in stage.values():
                waiting.exchange.socket.close()
        self._epoll.close()

    def _crowded(self) -> bool:
        return (
            len(self._waiting[ANSWERING]) >= MOST_ANSWERING
            or len(self._waiting[CONNECTING]) >= self._most_connecting
        )

    def _wait(self, waiting: _Waiting) -> None:
        exchange = waiting.exchange
        self._waiting[exchange.events][exchange.socket.fileno()] = waiting

    def _turn(self) -> None:
        """Take what has happened; when that was nothing, give up who is past the deadline."""
        first = [next(iter(stage.values())).deadline for stage in self._waiting.values() if stage]
        ready = self._epoll.poll(max(0.0, min(first) - time.monotonic()))
        moved = sum(self._advance(descriptor) for descriptor, _ in ready)
        if not moved:
            self._expire(time.monotonic())

    def _advance(self, descriptor: int) -> bool:
        """Let an exchange go on; whether it did."""
        stage = CONNECTING if descriptor in self._waiting[CONNECTING] else ANSWERING
        waiting = self._waiting[stage][descriptor]
        exchange = waiting.exchange
        outcome = exchange.advance()
        if outcome is None and exchange.events == stage:
            return False
        del self._waiting[stage][descriptor]
        if outcome is None:
            self._epoll.modify(descriptor, exchange.events)
            self._wait(waiting._replace(deadline=time.monotonic() + self._timeout_s))
            return True
        self._outcomes[waiting.row][waiting.column] = outcome
        exchange.socket.close()
        return True

    def _expire(self, now: float) -> None:
        for stage in self._waiting.values():
            while stage and next(iter(stage.values())).deadline <= now:
                stage.pop(next(iter(stage))).exchange.socket.close()
