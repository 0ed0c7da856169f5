"""The running lab inside its daemon: what was applied last, and how it is changed and compared."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from testbed.allocations import Allocations, allocate, rolled_out
from testbed.daemon.changes import files, logs
from testbed.daemon.changes.applied import Names, record, recorded
from testbed.daemon.process.home import Home
from testbed.daemon.process.keeper import Kept
from testbed.daemon.process.store import HolderStore
from testbed.eks.logs.events import Event, Witness, nobody
from testbed.errors import KernelError, TestbedError
from testbed.kernel.machine.scratch import Tell, child
from testbed.kernel.machine.shares import PATIENCE_S
from testbed.kernel.namespaces.making import Maker, making
from testbed.kernel.read.differences import observed
from testbed.kernel.read.observe import Observation
from testbed.kernel.rules.conntrack import forget
from testbed.kernel.write.apply import apply
from testbed.lab import Lab
from testbed.net.facts import State
from testbed.net.served.endpoints import Listener
from testbed.plan import check, leaving, listeners, plan, programs, unchecked
from testbed.plan.proxies import stale_entries
from testbed.probes.servers.processes import Servers
from testbed.services.load_balancers.health import ALL_WELL

if TYPE_CHECKING:
    from testbed.explain.walk.world import World
    from testbed.probes.observe.observer import Observer

Derived = TypeVar("Derived")

log = logging.getLogger(__name__)


def _planned(running: "RunningLab") -> "World":
    from testbed.explain.walk.world import World

    return World.planned(running.state)


class RunningLab:
    """The lab as it was applied; its methods run in the kernel thread, one at a time."""

    def __init__(self, home: Home, kept: Kept) -> None:
        self.home = home
        self.store = HolderStore(home)
        self.servers = Servers(self.store, kept.start_server, kept.servers)
        self.supervisor = kept
        self.lab: Lab | None = None
        self.allocations = Allocations()
        self._state: State | None = frozenset()  # None: nobody has asked for it yet
        self.manifests: Names = frozenset()
        self.health = ALL_WELL  # of load balancers' targets
        self._derived: tuple[State, dict[object, Any]] = frozenset(), {}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()
        self.store.close()

    @property
    def state(self) -> State:
        """What the kernel shall have: the plan, made when it is first asked for."""
        if self._state is None:
            self._state = plan(self.described(), self.allocations, self.health)
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state

    def described(self) -> Lab:
        """The lab that was applied.  Raises KernelError before the first `up`."""
        if self.lab is None:
            raise KernelError(f"lab '{self.home.lab}' is still coming up")
        return self.lab

    @cached_property
    def observer(self) -> "Observer":
        """Follows real packets; kept, because it is slow to make."""
        from testbed.probes.observe.observer import Observer  # only a lab that is asked needs it

        return self._undo.enter_context(Observer(self.store))

    @property
    def world(self) -> "World":
        """What the plan says each kernel has, to predict packets in."""
        return self.derived(_planned)

    def derived(self, make: "Callable[[RunningLab], Derived]") -> Derived:
        """What follows from the plan, made once for each plan; of thousands of pods it is slow."""
        if self._derived[0] is not self.state:
            self._derived = self.state, {}
        found = self._derived[1]
        if make not in found:
            found[make] = make(self)
        answer: Derived = found[make]
        return answer

    def adopt(self) -> None:
        """Take over what was applied last; the kernel is not touched.

        An earlier daemon's servers have ended with it, so they start again, but for those that
        cannot: `verify` names them and `up` heals them, whatever the earlier one had begun.  Its
        programs have ended too; the `up` that has started this daemon runs them again.
        """
        if self.home.applied.exists():
            with self.home.reading_applied() as text:
                lab, allocations, names = recorded(text)
            self.lab, self.allocations, self._state = lab, allocations, None
            self.manifests = names
            if self.supervisor.new:
                try:
                    self.servers.serve(listeners(lab, allocations))
                except KernelError as unserved:
                    log.warning("%s", unserved)
        self.supervisor.adopted()

    def up(self, lab: Lab, manifests: Names | None = None) -> None:
        """Change the kernel into what `lab` says.  A failure puts a running lab back.

        manifests: the objects of it that `apply -f` brought; none leaves that as it is.
        """
        names = self.manifests if manifests is None else manifests
        events: list[Event] = []
        allocations = self.allocated(lab, events.append)
        new = not self.store.names()
        with making(len(allocations.namespaces) if new else 0) as made:
            wanted = unchecked(lab, allocations, self.health)
            with self._put_back_on_failure():
                with self._becoming(lab, allocations, wanted, made):
                    applied = record(lab, allocations, names)
                    events[:0] = logs.between(self.lab, self.allocations, lab, allocations)
                    said = logs.texts(lab, allocations, events)
                self.home.write(self.home.applied.name, applied)
        self.lab, self.allocations, self.state = lab, allocations, wanted
        self.manifests = names
        logs.append(self.home.logs, lab, said)

    @contextmanager
    def _becoming(
        self,
        lab: Lab,
        allocations: Allocations,
        wanted: State,
        made: Maker | None,
    ) -> Iterator[None]:
        """After the block the kernel, and all that is not the kernel's, are as this lab wants.

        made: namespaces for those that are new.
        """
        serving = cache(lambda: listeners(lab, allocations))
        if self.lab is not None:  # else nobody serves yet
            self.servers.close(leaving(self.servers.listening, serving()))
            self.supervisor.retain(programs(lab, allocations, self.health))
        with self._writing(wanted, serving, made):
            check(wanted)
            files.write(self.home, lab, allocations)
            yield
        if self.lab is None:
            self.servers.begin(serving())
        else:
            forget(self.store, stale_entries(self.lab, self.allocations, lab, allocations))
            self.servers.serve(serving())
        self.supervisor.serve(programs(lab, allocations, self.health))

    def allocated(self, lab: Lab, tell: Witness = nobody) -> Allocations:
        """Who has which address once this lab is up; what was given already is kept."""
        return allocate(lab, rolled_out(self.lab, lab, self.allocations), tell)

    def rewire(
        self,
        allocations: Allocations,
        planned: State,
        steps: Sequence[Callable[[State], State]],
    ) -> State:
        """The kernel after these steps, each made of what is found then; it need not be the plan.

        allocations, planned: of the same lab, from now on.  A failure puts the kernel back.
        """
        lab, before = self.described(), self.observe(self.state)
        found = before
        try:
            for step in steps:
                apply(self.store, step(found.state), found)
                found = self.observe(planned)
            files.write(self.home, lab, allocations)
            self._serve(lab, allocations, listeners(lab, allocations))
            self.home.write(self.home.applied.name, record(lab, allocations, self.manifests))
        except Exception:
            apply(self.store, before.state, self.observe(self.state))
            self._serve_as_before(lab)
            raise
        self.allocations, self.state = allocations, planned
        return found.state

    @contextmanager
    def trying(self, wanted: State) -> Iterator[None]:
        """The kernel with other facts for as long as the block lasts; nothing is recorded."""
        try:
            self._write(wanted)
            yield
        finally:
            self._write(self.state)

    @contextmanager
    def _put_back_on_failure(self) -> Iterator[None]:
        """The last applied lab once more, if there is one; a new one is ended by its starter.

        Raises KernelError that tells of both, when this fails too.
        """
        try:
            yield
        except Exception as error:
            if self.lab is not None:
                self._put_back(self.lab, error)
            raise

    def _put_back(self, lab: Lab, error: Exception) -> None:
        try:
            self._write(self.state)
            self._serve_as_before(lab)
        except (OSError, MemoryError, TestbedError) as again:
            raise KernelError(
                f"{error}; and the lab could not be put back as it was: {again}; `testbed verify`"
                " shows what differs, `testbed up` heals it"
            ) from error

    def _serve_as_before(self, lab: Lab) -> None:
        with self.home.reserve_given():
            files.write(self.home, lab, self.allocations)
            self._serve(lab, self.allocations, listeners(lab, self.allocations))

    def _serve(self, lab: Lab, allocations: Allocations, serving: Iterable[Listener]) -> None:
        """The pods' servers, DNS servers and load balancers.  serving: the lab's listeners."""
        self.servers.serve(serving)
        self.supervisor.serve(programs(lab, allocations, self.health))

    def _write(self, wanted: State) -> None:
        with self._writing(wanted):
            pass

    @contextmanager
    def _writing(
        self,
        wanted: State,
        serving: Callable[[], Iterable[Listener]] = tuple,
        made: Maker | None = None,
    ) -> Iterator[None]:
        """After the block the kernel is so: it is written meanwhile.

        In a child, whose end gives back all the memory that takes: as much as the lab's own.
        serving: what is served in each namespace of a new lab while the child goes on to the next.
        made: what new namespaces are taken from.
        """
        new = not self.store.names()

        def write(tell: Tell) -> None:
            apply(self.store, wanted, None if new else self.observe(wanted), tell, made)

        theirs: dict[str, list[Listener]] = {}

        def serve(wired: Sequence[str]) -> None:
            self.servers.open(one for ns in wired for one in theirs.pop(ns, ()))

        with child(write, timeout_s=PATIENCE_S) as writer:
            writer.until_it_tells()  # else it and who makes namespaces had no processor each
            for one in serving() if new else ():
                theirs.setdefault(one.netns, []).append(one)
            yield
            writer.result(serve)

    def observe(self, wanted: State) -> Observation:
        """What the kernel has now, in every namespace, with the sysctls that are wanted."""
        return observed(self.store, wanted)
