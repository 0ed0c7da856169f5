"""Whether a kernel believes that a packet may come in by its device: martians and rp_filter.

Sources: Linux net/ipv4/route.c (ip_route_input_slow), fib_frontend.c (fib_validate_source).
"""

from dataclasses import dataclass
from typing import Literal

from testbed.explain.routing.decision import REFUSING, Decision
from testbed.explain.routing.local_table import LOOPBACK, OwnAddresses
from testbed.explain.routing.policy import Routing
from testbed.explain.routing.settings import Settings

Refusal = Literal["", "source", "destination", "own", "filter", "unknown"]

STRICT = 1
ODD = frozenset({0, 127, *range(224, 256)})  # first bytes: none, loopback, multicast, broadcast
_ERRORS = ("none", *REFUSING)


@dataclass(frozen=True, slots=True)
class Mode:
    """The sysctls of a device that matter here."""

    rp_filter: int
    accepts_own: bool
    redirects: bool
    minds_mark: bool
    forwards: bool


class ReversePath:
    """The checks on what comes in, in one namespace (state: each device's settings)."""

    def __init__(self, routing: Routing, own: OwnAddresses, settings: Settings) -> None:
        self._routing = routing
        self._own = own
        self._settings = settings
        self._modes: dict[str, Mode] = {}

    def refuses_addresses(self, source: int, destination: int, dev: str) -> Refusal:
        """Addresses that no packet on a wire may have; empty when they are all right."""
        if source >> 28 >= 0xE or not source >> 24:
            return "source"
        if not destination >> 24:
            return "destination"
        loopback = 127 in (source >> 24, destination >> 24)
        if loopback and not self._settings.strictest("route_localnet", dev):
            return "destination" if destination >> 24 == 127 else "source"
        return ""

    def refuses_source(
        self, source: int, destination: int, dev: str, out: str = "", mark: int = 0
    ) -> Refusal:
        """Why the source cannot come in by the device; empty when it can.

        out: the device it would leave by; empty for what is for the namespace itself.
        """
        mode = self._modes.get(dev) or self._made(dev)
        rp_filter, accepts_own = mode.rp_filter, mode.accepts_own
        redirects = mode.redirects and dev == out
        if not rp_filter and not redirects and (accepts_own or not self._routing.has_own_rules):
            return "own" if not accepts_own and source in self._own.all else ""
        back = self._routing.decide(destination, source, out, mark if mode.minds_mark else 0)
        if back.kind in _ERRORS:
            return "filter" if rp_filter else ""
        if back.kind not in ("unicast", *(["local"] if accepts_own else [])):
            return "unknown" if back.kind == "unknown" else "own"
        if back.dev == dev or (back.kind == "local" and dev == LOOPBACK):
            return ""
        strict = rp_filter == STRICT or (rp_filter and not self._own.of(dev))
        return "filter" if strict else ""

    def back(
        self, source: int, destination: int, dev: str, out: str = "", mark: int = 0
    ) -> Decision:
        """The way that an answer would take."""
        mode = self.mode(dev)
        return self._routing.decide(destination, source, out, mark if mode.minds_mark else 0)

    def mode(self, dev: str) -> Mode:
        """What the settings make of a device."""
        return self._modes.get(dev) or self._made(dev)

    def _made(self, dev: str) -> Mode:
        settings = self._settings
        found = self._modes[dev] = Mode(
            rp_filter=settings.strictest("rp_filter", dev),
            accepts_own=bool(settings.strictest("accept_local", dev)),
            redirects=bool(settings.strictest("send_redirects", dev)),
            minds_mark=bool(settings.strictest("src_valid_mark", dev)),
            forwards=settings.forwards(dev),
        )
        return found
