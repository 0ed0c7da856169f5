"""All that watches for a probe: taps and nft trace in each namespace, armed and disarmed."""

import secrets
import select
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import NamedTuple, Self

from testbed.explain.evidence.witnesses import OWN_TABLE, Flow, Sighting, Traversal
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.probes.observe.nft_trace.trace import Tracer
from testbed.probes.observe.nft_trace.traversals import traversals
from testbed.probes.observe.sent.followed import Followed
from testbed.probes.observe.sent.patterns import Patterns
from testbed.probes.observe.taps.tap import Tap
from testbed.probes.sockets import inside

LATE_S = 0.001


class Generations(NamedTuple):
    """A rule set's numbers: before it was armed, how many transactions were ours, afterwards."""

    before: int
    ours: int
    now: int

    @property
    def unchanged(self) -> bool:
        """Whether nobody else changed it."""
        return self.now == self.before + self.ours


class Watch:
    """The watched namespaces while it is entered (state: their sockets, what was seen so far)."""

    def __init__(self, store: NamespaceStore, names: Iterable[str], probe: Followed) -> None:
        self._store = store
        self._names = sorted(names)
        self._probe = probe
        self._undo = ExitStack()
        self._taps: dict[str, Tap] = {}
        self._tracers: dict[str, Tracer] = {}
        self._closing: list[threading.Thread] = []
        self._poll = select.poll()
        self.sightings: list[Sighting] = []
        self._told: tuple[Traversal, ...] = ()  # what is no longer held by the tracers
        self._devices: dict[str, Mapping[int, str]] = {}
        self._before: dict[str, int] = {}  # generations of rule sets

    def __enter__(self) -> Self:
        with self._undo as undo:
            undo.callback(self._join)
            undo.callback(self.release)
            name = f"{OWN_TABLE}-{secrets.token_hex(4)}"
            for ns in self._names:
                with inside(self._store, ns):
                    self._arm(ns, name)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()

    def look_for(self, flows: Mapping[str, Iterable[Flow]]) -> None:
        """Watch for the answers to these flows too, each where it was seen.

        Of an answer that comes meanwhile only a part would be seen: it is forgotten.
        """
        for ns, seen in flows.items():
            turned = tuple(flow.turned() for flow in seen)
            self._taps[ns].look_for(self._probe.patterns.with_flows(turned))
            self._tracers[ns].look_for(Patterns((), (), turned))
        self.settle()
        self._told = self.traversals()
        for tracer in self._tracers.values():
            tracer.heard.clear()

    def wait(self, timeout_s: float) -> bool:
        """Take what has come, or comes within this time; whether anything did."""
        deadline = time.monotonic() + timeout_s
        while not self._take():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self._poll.poll(left_s * 1000)
        return True

    def settle(self) -> None:
        """Until nothing more comes: what a tap saw, nft trace tells somewhat later."""
        while self.wait(LATE_S):
            pass

    def traversals(self) -> tuple[Traversal, ...]:
        """What nft trace has told so far."""
        return self._told + tuple(
            one
            for ns, tracer in self._tracers.items()
            if tracer.heard
            for one in traversals(ns, tracer.heard, self._numbered(ns), self._probe.way)
        )

    def release(self) -> dict[str, Generations]:
        """Disarm, and begin to close everything; what the rule sets are at by now."""
        found = {}
        for ns, tracer in self._tracers.items():
            with suppress(OSError):  # closing disarms too
                tracer.disarm()
                found[ns] = Generations(self._before[ns], tracer.transactions, tracer.generation())
        closing = [tap.close for tap in self._taps.values()]
        closing += [tracer.close for tracer in self._tracers.values()]
        for close in closing:
            # the kernel waits for all its readers: 10 to 30 ms, side by side no more than one
            thread = threading.Thread(target=close)
            thread.start()
            self._closing.append(thread)
        self._taps, self._tracers = {}, {}
        return found

    def _arm(self, ns: str, name: str) -> None:
        """In the namespace."""
        tap = self._taps[ns] = Tap(ns, self._probe.patterns)
        tracer = self._tracers[ns] = Tracer(ns)
        self._before[ns] = tracer.generation()
        tracer.arm(name, self._probe.patterns)
        self._poll.register(tap.fileno(), select.POLLIN)
        self._poll.register(tracer.fileno(), select.POLLIN)

    def _take(self) -> bool:
        before = len(self.sightings)
        for tap in self._taps.values():
            self.sightings += tap.seen(self._probe.way)
        heard = [tracer.hear() for tracer in self._tracers.values()]
        return any(heard) or len(self.sightings) > before

    def _numbered(self, ns: str) -> Mapping[int, str]:
        """The devices of a namespace, by number."""
        if ns not in self._devices:
            with inside(self._store, ns):
                self._devices[ns] = dict(socket.if_nameindex())
        return self._devices[ns]

    def _join(self) -> None:
        for thread in self._closing:
            thread.join()
