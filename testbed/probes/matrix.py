"""All pairs probed and compared with what is expected of them; no silence is believed unproved."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from testbed.kernel.namespaces.store import NamespaceStore
from testbed.net.served.endpoints import Endpoint, Probed
from testbed.probes import control
from testbed.probes.outcome import Outcome, Row

Result = Literal["blocked", "delivered"]
Asked = tuple[str, str, Probed]  # source, destination, protocol
Expected = Mapping[Asked, Result] | Callable[[str, str, Probed], Result]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A pair that did not do what was expected, or of which nothing can be said."""

    source: str
    destination: str
    protocol: Probed
    expected: Result
    observed: str  # a verdict, or `misdelivered`: another pod answered
    reason: str

    def to_json(self) -> dict[str, str]:
        """The finding with the keys of `matrix -o json`."""
        return {
            "from": self.source,
            "to": self.destination,
            "protocol": self.protocol,
            "expected": self.expected,
            "observed": self.observed,
            "reason": self.reason,
        }


@dataclass(frozen=True, kw_only=True)
class MatrixResult:
    """What became of all pairs.  `ok + len(failed) + len(inconclusive) == pairs`."""

    pairs: int
    ok: int
    failed: tuple[Finding, ...]
    inconclusive: tuple[Finding, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """What `matrix -o json` prints."""
        return {
            "pairs": self.pairs,
            "ok": self.ok,
            "failed": [finding.to_json() for finding in self.failed],
            "inconclusive": [finding.to_json() for finding in self.inconclusive],
            "seconds": round(self.seconds, 3),
        }


class _Pair(NamedTuple):
    source: Endpoint
    destination: Endpoint
    outcome: Outcome

    def observed(self) -> str:
        """The verdict, unless somebody else answered."""
        return "misdelivered" if self._impostor() else self.outcome.verdict

    def reason(self) -> str:
        """Why it is not what was expected, in the words of whoever knows."""
        impostor = self._impostor()
        return f"{impostor} answered" if impostor else self.outcome.reason or "it got through"

    def _impostor(self) -> str:
        if self.outcome.answer is None or control.answered(self.outcome, self.destination):
            return ""
        return str(self.outcome.answer["pod"])


def matrix(
    store: NamespaceStore,
    endpoints: Sequence[Endpoint],
    protocol: Probed = "icmp",
    expected: Expected | None = None,
    *,
    timeout_s: float = 1.0,
) -> MatrixResult:
    """Every endpoint probes every other one that serves the protocol.

    expected: what a pair shall find; `delivered` where nothing is said.
    timeout_s: for all silent pairs together (some 4,000 at a time over TCP); once more for the
    control probes, if any are needed.
    Raises KernelError (no such namespace, no free descriptors).
    """
    began = time.monotonic()
    pairs = _probe(store, endpoints, protocol, timeout_s)
    look_up = _looking_up(expected)
    failed = []
    silent = []
    for pair in pairs:
        source, destination, outcome = pair
        wanted = look_up(source.name, destination.name, protocol)
        if wanted == "blocked" and not outcome.delivered:
            silent.append(pair)
        elif wanted == "blocked" or not control.answered(outcome, destination):
            failed.append(_finding(pair, protocol, wanted, pair.reason()))
    blind = _blind(store, pairs, silent, protocol, timeout_s)
    return MatrixResult(
        pairs=len(pairs),
        ok=len(pairs) - len(failed) - len(blind),
        failed=tuple(failed),
        inconclusive=blind,
        seconds=time.monotonic() - began,
    )


def _probe(
    store: NamespaceStore, endpoints: Sequence[Endpoint], protocol: Probed, timeout_s: float
) -> list[_Pair]:
    """The outcome of every pair.  Pods of one namespace (hostNetwork) are one place: no pair."""
    serving = [
        (endpoint, control.target(endpoint, protocol))
        for endpoint in endpoints
        if endpoint.port(protocol) is not None
    ]
    columns = [[to for to in serving if to[0].netns != source.netns] for source in endpoints]
    rows = [
        Row(source.netns, [target for _, target in column])
        for source, column in zip(endpoints, columns, strict=True)
    ]
    outcomes = control.SWEEPS[protocol](store, rows, timeout_s=timeout_s)
    return [
        _Pair(source, destination, outcome)
        for source, column, found in zip(endpoints, columns, outcomes, strict=True)
        for (destination, _), outcome in zip(column, found, strict=True)
    ]


def _blind(
    store: NamespaceStore,
    pairs: Sequence[_Pair],
    silent: Sequence[_Pair],
    protocol: Probed,
    timeout_s: float,
) -> tuple[Finding, ...]:
    """The silent pairs that prove nothing.

    Nobody heard the destination, so it may be dead; or the source was not answered by anybody, so
    it may be unable to send.  Whoever was in no successful pair gets a control probe.
    """
    if not silent:
        return ()
    proven = [pair for pair in pairs if control.answered(pair.outcome, pair.destination)]
    heard = {pair.destination.name for pair in proven}
    spoke = {pair.source.name for pair in proven}
    mute = {pair.destination for pair in silent if pair.destination.name not in heard}
    deaf = {pair.source for pair in silent if pair.source.name not in spoke}
    heard |= control.heard(store, mute, protocol, timeout_s)
    spoke |= control.spoke(store, deaf, protocol, timeout_s)
    findings = []
    for pair in silent:
        source, destination, _ = pair
        if destination.name not in heard:
            reason = f"{destination.name} answers nobody, {_witness(destination)}: is it alive?"
            findings.append(_finding(pair, protocol, "blocked", reason))
        elif source.name not in spoke:
            reason = f"nobody answers {source.name}, {_listener(source)}: can it send at all?"
            findings.append(_finding(pair, protocol, "blocked", reason))
    return tuple(findings)


def _witness(endpoint: Endpoint) -> str:
    return f"not even {endpoint.control_netns}" if endpoint.control_netns else "no control probe"


def _listener(endpoint: Endpoint) -> str:
    address = endpoint.control_address
    return f"not even {address}" if address else "no control probe"


def _finding(pair: _Pair, protocol: Probed, wanted: Result, reason: str) -> Finding:
    return Finding(
        source=pair.source.name,
        destination=pair.destination.name,
        protocol=protocol,
        expected=wanted,
        observed=pair.observed(),
        reason=reason,
    )


def _looking_up(expected: Expected | None) -> Callable[[str, str, Probed], Result]:
    """The expectation of a pair as a function, whichever way it was given."""
    if expected is None:
        return lambda source, destination, protocol: "delivered"
    if isinstance(expected, Mapping):
        given = expected
        return lambda *asked: given.get(asked, "delivered")
    return expected
