"""The time between sending and knowing: until an answer, a drop, or an explained silence."""

import time

from testbed.explain.evidence.copies import single
from testbed.explain.evidence.spine import Stay, flows, silent_answer, spine
from testbed.explain.evidence.witnesses import Evidence, Way
from testbed.probes.observe.kernels import Kernels
from testbed.probes.observe.sent.followed import Followed
from testbed.probes.observe.watch import Watch

QUIET_S = 0.02  # in which the way of a packet through some kernels goes on, or has ended
ARP_S = 0.25  # links of a lab may be slow, but not so slow
FAILED = ("FAILED", "INCOMPLETE")


class Pursuit:
    """A probe being followed: sent, and then told of by watching (state: what is so far known)."""

    def __init__(self, probe: Followed, watch: Watch, start: str, kernels: Kernels) -> None:
        self._probe = probe
        self._watch = watch
        self._start = start
        self._kernels = kernels
        self._refused = ""
        self._is_repeated = probe.sent.protocol != "udp"

    def run(self, timeout_s: float) -> Evidence:
        """Send the probe; what was heard of it when nothing more is to come.

        timeout_s: how long a silence is waited for that nothing explains.
        """
        begun = time.monotonic()
        self._refused = self._probe.send()
        while (left_s := begun + timeout_s - time.monotonic()) > 0:
            quiet = not self._watch.wait(min(QUIET_S, left_s))
            evidence = self._evidence()
            if self._refused or _answered(evidence) or _dropped(evidence):
                break
            there = spine(evidence, "there").stays
            if not self._is_repeated and (quiet or there[-1].reached("input")):
                self._repeat(evidence)
            elif quiet and self._explained(evidence, time.monotonic() - begun):
                break
        self._watch.settle()
        return self._evidence()

    def _repeat(self, evidence: Evidence) -> None:
        """UDP: once more, now that it is known by which flows answers can be told."""
        self._is_repeated = True
        seen = flows(evidence)
        self._watch.look_for(seen)
        self._probe.send_again([flow for those in seen.values() for flow in those])

    def _evidence(self) -> Evidence:
        return Evidence(
            start=self._start,
            sent=self._probe.sent,
            sightings=tuple(self._watch.sightings),
            traversals=self._watch.traversals(),
            refused=self._refused,
        )

    def _explained(self, evidence: Evidence, waited_s: float) -> bool:
        """Whether the kernel that had it last says that it goes no further."""
        last = _last_stay(evidence)
        if last is None:
            return False
        if last.is_expired:
            return True
        if last.is_stopped_at_once and self._kernels.full([last.ns]):
            return True
        if last.reached("input"):
            return self._is_unanswerable(last)
        return any(
            answer.is_end
            or (answer.neighbour in FAILED and waited_s > ARP_S)
            or self._probe.sent.size > answer.mtu > 0
            for answer in map(self._kernels.route, last.questions()[-1:])
        )

    def _is_unanswerable(self, last: Stay) -> bool:
        """Whether the kernel it was delivered to has no way back, or nobody who would answer."""
        header = last.routed
        if header.protocol == "udp":
            return not self._kernels.serves_udp(last.ns, header.destination_port)
        answer = silent_answer(last)
        return self._kernels.route(answer.questions()[0]).is_end


def _last_stay(evidence: Evidence) -> Stay | None:
    """Where the packet, or what came of it, was last."""
    found = (spine(evidence, way).stays for way in WAYS)
    return next((stays[-1] for stays in found if stays), None)


WAYS: tuple[Way, ...] = ("back", "error", "there")


def _answered(evidence: Evidence) -> bool:
    """Whether an answer, or an error, is back at the sender."""
    return any(
        one.way != "there" and one.ns == evidence.start and not one.outgoing
        for one in evidence.sightings
    )


def _dropped(evidence: Evidence) -> bool:
    """Whether it ended, and not only a copy of it."""
    return any(one.dropped for way in WAYS for one in single(evidence, way).traversals)
