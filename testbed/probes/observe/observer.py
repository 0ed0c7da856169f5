"""One real packet sent and followed: what became of it, by the kernels' own evidence.

Needs CAP_NET_ADMIN and CAP_NET_RAW over the lab's namespaces; tracefs besides needs the machine's
root, and the answer is the same without it.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

from testbed.explain.evidence.correlate import Knowledge
from testbed.explain.evidence.observation import Circumstances, Observation, answering, observation
from testbed.explain.evidence.planned import Planned
from testbed.explain.evidence.sizes import devices
from testbed.explain.evidence.spine import Spine, Stay, silent_answer, spine
from testbed.explain.evidence.witnesses import Evidence, Way
from testbed.explain.journey import Header
from testbed.explain.speech import speaks
from testbed.kernel.namespaces.store import Descriptors, LocalStore, NamespaceStore
from testbed.net.facts import State
from testbed.probes.observe.following import Pursuit
from testbed.probes.observe.kernels import Kernels
from testbed.probes.observe.nft_trace.texts import RuleTexts, Texts, Version
from testbed.probes.observe.sent.followed import Followed
from testbed.probes.observe.sent.probe import Probe
from testbed.probes.observe.sent.talk import Talk, is_open
from testbed.probes.observe.taps.stamps import Stamps
from testbed.probes.observe.tracefs import Tracefs
from testbed.probes.observe.watch import Generations, Watch
from testbed.probes.sockets import identity, inside

WAYS: tuple[Way, ...] = ("there", "back", "error")


def observe(
    store: NamespaceStore,
    plan: State,
    watched: Iterable[str],
    start: str,
    header: Header,
    *,
    timeout_s: float = 1.0,
    tracefs: bool = True,
) -> Observation:
    """What became of a packet sent from the namespace `start`, with an observer of its own.

    See Observer.observe; for more than one packet that is quicker.
    """
    with Observer(store, tracefs=tracefs) as observer:
        return observer.observe(plan, watched, start, header, timeout_s=timeout_s)


class Observer:
    """Sends packets through a lab and tells what became of each.

    State: what is slow to make and the same for all: the plan's indexes, rule texts, time stamps,
    the tracefs instance.  Several may be at work in one lab, and next to other labs; one is for
    one thread.
    """

    def __init__(self, store: NamespaceStore, *, tracefs: bool = True) -> None:
        self._store = store
        self._texts = RuleTexts()
        self._planned: Planned | None = None
        self._undo = ExitStack()
        self._stamps = Stamps()
        self._undo.callback(self._stamps.close)
        self._tracefs = _tracefs(self._undo) if tracefs else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()

    def observe(
        self,
        plan: State,
        watched: Iterable[str],
        start: str,
        header: Header,
        *,
        timeout_s: float = 1.0,
        keep_port: bool = False,
    ) -> Observation:
        """What became of a packet and its answer: of the first data where speech.speaks().

        plan: why things are as they are.  watched: the namespaces to look into besides `start`;
        what happens elsewhere is not seen.  header: its source may be 0.0.0.0, for the kernel to
        choose; its source port is used with `keep_port` only, of UDP: else a probe has a new one.
        timeout_s: how long a silence is waited for that no kernel explains.
        Raises KernelError (no such namespace, no such source address), MissingFeature.
        """
        names = frozenset({start, *watched})
        with Descriptors(self._store) as spaces, LocalStore() as near:
            near.keep({name: spaces.of(name) for name in names})
            first = replace(header, size=0) if header.protocol == "tcp" else header
            with inside(near, start):
                probe = Probe(first, keep_port=keep_port)
            with probe:
                found = self._one(near, plan, names, start, probe, timeout_s)
                if not (speaks(header) and found.round_trip.is_answered and is_open(probe)):
                    return found
                talk = Talk(probe, header)
                found = self._one(near, plan, names, start, talk, timeout_s)
                return replace(found, segment=talk.segment)

    def _one(
        self,
        store: NamespaceStore,
        plan: State,
        names: frozenset[str],
        start: str,
        sent: Followed,
        timeout_s: float,
    ) -> Observation:
        with Watch(store, names, sent) as watch:
            evidence = self._evidence(Pursuit(sent, watch, start, Kernels(store)), timeout_s)
            generations = watch.release()
            return self._understood(store, plan, evidence, generations)

    def _evidence(self, pursuit: Pursuit, timeout_s: float) -> Evidence:
        self._stamps.wait()
        if self._tracefs is None:
            return pursuit.run(timeout_s)
        self._tracefs.start()
        try:
            heard = pursuit.run(timeout_s)
        finally:
            events = self._tracefs.stop()
        return replace(heard, events=events)

    def _understood(
        self,
        store: NamespaceStore,
        plan: State,
        evidence: Evidence,
        generations: dict[str, Generations],
    ) -> Observation:
        kernels = Kernels(store)
        spines = {way: spine(evidence, way) for way in WAYS}
        served = _unanswered(spines, kernels)
        visited = [stay for one in spines.values() for stay in one.stays]
        planned = self._planned_by(plan)
        taking = {
            one for stay in visited for one in devices(stay, planned) if one[0] in generations
        }
        known = Knowledge(
            routes={
                question: kernels.route(question)
                for question in {asked for stay in visited for asked in stay.questions()}
            },
            texts=self._rule_texts(store, visited, generations),
            planned=planned,
            mtus=kernels.mtus(taking) if evidence.sent.size else {},
            full=kernels.full({one.stays[-1].ns for one in spines.values() if one.stays}),
        )
        around = Circumstances(
            watched=frozenset(generations),
            changed=tuple(ns for ns, one in generations.items() if not one.unchanged),
            is_served=served,
        )
        return observation(spines, evidence, known, around)

    def _planned_by(self, plan: State) -> Planned:
        """The plan's indexes, made anew for another plan."""
        if self._planned is None or self._planned.plan is not plan:
            self._planned = Planned(plan)
        return self._planned

    def _rule_texts(
        self, store: NamespaceStore, visited: list[Stay], generations: dict[str, Generations]
    ) -> Texts:
        """The texts of the rules of the namespaces in which any matched."""
        versions = {}
        for ns in {stay.ns for stay in visited if any(not one.own for one in stay.traversals)}:
            numbers, namespace = generations[ns], identity(store, ns)
            before, now = Version(namespace, numbers.before), Version(namespace, numbers.now)
            if numbers.unchanged:
                self._texts.keep(ns, before, now)
            versions[ns] = now
        return self._texts.of(store, versions)


def _tracefs(undo: ExitStack) -> Tracefs | None:
    """An instance of our own where that is allowed."""
    try:
        opened = Tracefs()
    except OSError:
        return None
    undo.callback(opened.close)
    return opened


def _unanswered(spines: dict[Way, Spine], kernels: Kernels) -> bool:
    """Whether somebody serves what was delivered in silence; adds an answer that has no way."""
    there, answer = spines["there"].stays, spines[answering(spines)].stays
    if answer or not there[-1].reached("input"):
        return True
    header = there[-1].routed
    if header.protocol == "udp":
        return kernels.serves_udp(there[-1].ns, header.destination_port)
    silent = silent_answer(there[-1])
    if kernels.route(silent.questions()[0]).is_end:
        spines["back"] = Spine((silent,))
    return True
