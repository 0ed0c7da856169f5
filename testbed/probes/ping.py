"""ICMP echo through raw sockets: one destination a few times, or whole rows of a matrix.

Needs CAP_NET_RAW over the source's namespace.
"""

import errno
import os
import select
import socket
import struct
import time
from _socket import socket as CSocket  # noqa: N812 - the C class: no Python around each call
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import NamedTuple

from testbed.errors import KernelError
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.net.facts import IpAddress
from testbed.probes import bursts, icmp
from testbed.probes.outcome import DELIVERED, TIMEOUT, Outcome, Outcomes, Row, Target, failed
from testbed.probes.sockets import inside

SOL_RAW = 255  # linux/socket.h
ICMP_FILTER = 1  # linux/icmp.h: a bit set keeps that type out
HEARD = (icmp.ECHO_REPLY, icmp.UNREACHABLE, icmp.TIME_EXCEEDED)
FILTER = struct.pack("=I", ~sum(1 << kind for kind in HEARD) & 0xFFFFFFFF)
# Answers wait in the socket (212,992 bytes, 768 each) and, on a busy machine, in a queue of 1,000
# packets per CPU (net.core.netdev_max_backlog): so many requests go out before answers are read.
BURST = 256
RECEIVE_BUFFER = 1 << 20  # bytes; the kernel grants what net.core.rmem_max allows
CONGESTION = (errno.ENOBUFS, errno.EAGAIN)  # a request that is sent again later
SENDINGS = 4  # of a request, in equal parts of the time there is


@dataclass(frozen=True)
class PingResult:
    """Echo requests and their replies.  errors: what kernels said instead of a reply."""

    sent: int
    received: int
    rtt_ms: tuple[float, ...]
    errors: tuple[str, ...] = ()


def ping(
    store: NamespaceStore,
    source: str,
    destination: IpAddress,
    *,
    count: int = 1,
    timeout_s: float = 1.0,
) -> PingResult:
    """Echo requests from a namespace, one after the other, and what came back.

    timeout_s: for each request.  Raises KernelError (no such namespace); loss is a result.
    """
    row = Row(source, [Target.of(destination)] * count)
    with closing(_Source(store, row, _Post.of([row]))) as pinger:
        rtt_ms = [pinger.round_trip_ms(number, timeout_s) for number in range(count)]
    replies = tuple(rtt for rtt in rtt_ms if rtt is not None)
    errors = (outcome.reason for outcome in pinger.outcomes if outcome.verdict == "unreachable")
    return PingResult(count, len(replies), replies, tuple(errors))


def sweep(store: NamespaceStore, rows: Sequence[Row], *, timeout_s: float = 1.0) -> Outcomes:
    """The outcome of an echo request to every target of every row.

    timeout_s: after the first request to the last target, for all that are silent together.
    Raises KernelError (no such namespace, no free descriptors).
    """
    post = _Post.of(rows)
    with ExitStack() as stack:
        outcomes = []
        silent = []
        for row in rows:
            with ExitStack() as sent:
                source = sent.enter_context(closing(_Source(store, row, post)))
                outcomes.append(source.outcomes)
                source.send(range(len(row.targets)))
                if source.missing:  # its socket is needed longer
                    silent.append(source)
                    stack.push(sent.pop_all())
        _wait(silent, timeout_s)
    return outcomes


def _wait(silent: Sequence["_Source"], timeout_s: float) -> None:
    """Take late answers, and send again what is still missing, until the time is over."""
    began = time.monotonic()
    for sending in range(1, SENDINGS + 1):
        silent = [source for source in silent if source.missing]
        _listen(silent, began + timeout_s * sending / SENDINGS)
        if sending < SENDINGS:
            for source in silent:
                source.send(sorted(source.missing))


def _listen(sources: Iterable["_Source"], deadline: float) -> None:
    """Take answers until the deadline, or until none is missing."""
    waiting = {source.socket.fileno(): source for source in sources}
    with select.epoll() as epoll:
        for descriptor in waiting:
            epoll.register(descriptor, select.EPOLLIN)
        while waiting:
            for descriptor, _ in epoll.poll(max(0.0, deadline - time.monotonic())):
                waiting[descriptor].receive()
                if not waiting[descriptor].missing:
                    epoll.unregister(descriptor)
                    del waiting[descriptor]
            if time.monotonic() >= deadline:
                return


class _Post(NamedTuple):
    """Where packets lie that go out or have come in."""

    out: bursts.Outbox
    into: bursts.Inbox

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "_Post":
        """Room for what these rows send at once."""
        most = min(BURST, max((len(row.targets) for row in rows), default=0)) or 1
        return cls(bursts.Outbox(most, icmp.REQUEST_BYTES), bursts.Inbox(most, icmp.LONG.size))


class _Source:
    """The raw socket of one source, and what has come back to it.

    A request's sequence number is the place of its target in the row.
    """

    def __init__(self, store: NamespaceStore, row: Row, post: _Post) -> None:
        self.outcomes = [TIMEOUT] * len(row.targets)
        self.missing = set(range(len(row.targets)))
        self._names = [bursts.name(target.address[0]) for target in row.targets]
        self._answering = [name[bursts.ADDRESS] for name in self._names]
        self._token = os.urandom(icmp.TOKEN_BYTES)
        self._identifier = int.from_bytes(self._token[:2], "big")
        self._post = post
        self.socket = _raw_socket(store, row.netns)

    def close(self) -> None:
        """Let the socket go."""
        self.socket.close()

    def send(self, columns: Sequence[int]) -> None:
        """Send requests to these targets, and take the answers that come at once."""
        for start in range(0, len(columns), BURST):
            some = columns[start : start + BURST]
            names = [self._names[column] for column in some]
            requests = icmp.requests(self._identifier, some, self._token)
            for place, error in self._post.out.send(self.socket.fileno(), names, requests):
                if error not in CONGESTION:
                    self._end(some[place], failed(error))
            self.receive()

    def receive(self) -> None:
        """Take every packet that has come."""
        while packets := self._post.into.receive(self.socket.fileno()):
            self._take(packets)

    def _take(self, packets: memoryview) -> None:
        """Replies to our requests, by far the most, and whatever else there is."""
        token, answering = self._token, self._answering
        for place, (source, kind, _, _, sequence, said) in enumerate(
            icmp.LONG.iter_unpack(packets)
        ):
            if said == token and kind == icmp.ECHO_REPLY and source == answering[sequence]:
                self.outcomes[sequence] = DELIVERED
                self.missing.discard(sequence)
            else:
                start = place * icmp.LONGEST
                self._take_other(bytes(packets[start : start + icmp.LONGEST]))

    def _take_other(self, packet: bytes) -> None:
        """A reply with IP options, an ICMP error about one of our requests, or nothing for us.

        A raw socket gets a copy of every ICMP packet of its namespace, and may hold some from
        before its filter was set.
        """
        about, reply = icmp.error(packet), icmp.message(packet)
        if about and about[0].token == self._token:
            self._end(about[0].sequence, Outcome("unreachable", about[1]))
        elif reply and (reply.token, reply.kind) == (self._token, icmp.ECHO_REPLY):
            self._replied(reply.sequence, reply.source)

    def _replied(self, column: int, source: bytes) -> None:
        """Somebody repeats a request's token: only the one who was asked may."""
        if source == self._answering[column]:
            self._end(column, DELIVERED)

    def round_trip_ms(self, column: int, timeout_s: float) -> float | None:
        """Send one request; the time until its reply, none without one."""
        began = time.perf_counter()
        self.send([column])
        waiting = select.poll()
        waiting.register(self.socket.fileno(), select.POLLIN)
        deadline = began + timeout_s
        while column in self.missing and (left := deadline - time.perf_counter()) > 0:
            waiting.poll(left * 1000)
            self.receive()
        ended = time.perf_counter()
        return (ended - began) * 1000 if self.outcomes[column].delivered else None

    def _end(self, column: int, outcome: Outcome) -> None:
        self.outcomes[column] = outcome
        self.missing.discard(column)


def _raw_socket(store: NamespaceStore, netns: str) -> CSocket:
    """A raw ICMP socket that hears replies and errors, but no requests."""
    with inside(store, netns):
        try:
            raw = CSocket(
                socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP
            )
        except OSError as error:
            raise KernelError(f"cannot ping from {netns}: {error.strerror}") from error
    raw.setsockopt(SOL_RAW, ICMP_FILTER, FILTER)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return raw
