"""A lab inside the calling process, for tests: up, asked, broken, healed, gone.

    with bed(load(Path("topologies/eks.yaml"))) as lab:
        assert lab.ping("web-4", "client").received == 1

Needs root.  It has no names in /run/netns and no daemon; many run side by side.  The files of its
programs are in a temporary directory; what a killed test has left of them, the next `bed` sweeps.
"""

import copy
import pathlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import Any, TypeVar

from testbed.allocations import Allocations, allocate, rolled_out
from testbed.daemon.shown.views import addresses
from testbed.kernel.machine import temporary
from testbed.kernel.machine.modules import load
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs import resolv
from testbed.kernel.programs.run import Result, run
from testbed.kernel.programs.supervisor import Supervisor
from testbed.kernel.read.differences import drift
from testbed.kernel.read.observe import observe
from testbed.kernel.rules.conntrack import forget
from testbed.kernel.write.apply import apply
from testbed.kubernetes.placement import PodAddress
from testbed.lab import Lab, health, kernel_modules
from testbed.net.drift.diff import Drift
from testbed.net.facts import Fact, IpAddress, State, Sysctl
from testbed.net.served.endpoints import Probed
from testbed.plan import endpoints, leaving, listeners, plan, programs, resolvers
from testbed.plan.balancers import ended_connections, load_balancer_facts
from testbed.plan.proxies import stale_entries
from testbed.probes import http, tcp
from testbed.probes.asked.path import Path, path
from testbed.probes.asked.targets import targets
from testbed.probes.matrix import MatrixResult, matrix
from testbed.probes.outcome import Outcome
from testbed.probes.ping import PingResult, ping
from testbed.probes.servers.processes import Servers
from testbed.probes.sockets import inside
from testbed.services.load_balancers.health import ALL_WELL, HAPROXY, Judged

AnyFact = TypeVar("AnyFact", bound=Fact)

PATIENCE_S = 10.0  # an answer may come late: a loaded machine, or one that stood still
PROGRAM_TIMEOUT_S = 60.0  # a program's own limit, if it has one, comes first
SILENCE_S = 0.3  # no answer is expected: on its way a packet waits for nothing


class Bed:
    """A lab that is up; its state is the namespaces it holds.

    patience_s: how long its probes wait for an answer.
    """

    def __init__(
        self,
        lab: Lab,
        store: LocalStore,
        servers: Servers,
        supervisor: Supervisor,
        resolv_directory: pathlib.Path,
    ) -> None:
        self.store = store
        self.supervisor = supervisor
        self._servers = servers
        self._resolv = resolv_directory
        self.lab = lab
        self.allocations = Allocations()
        self.health = ALL_WELL
        self.patience_s = PATIENCE_S
        self.up(lab)

    def up(self, lab: Lab) -> None:
        """Become this lab, as `testbed up` of a changed file does: what was given is kept."""
        before = self.lab, self.allocations
        self.lab = lab
        self.allocations = allocate(lab, rolled_out(before[0], lab, self.allocations))
        self.state: State = plan(lab, self.allocations, self.health)
        serving = listeners(lab, self.allocations)
        self._servers.close(leaving(self._servers.listening, serving))
        wanted = programs(lab, self.allocations, self.health)
        self.supervisor.retain(wanted)
        self.change(self.state)
        forget(self.store, stale_entries(*before, lab, self.allocations))
        self._servers.serve(serving)
        self.supervisor.serve(wanted)
        resolv.write(self._resolv, resolvers(lab, self.allocations))

    def follow_balancers(self) -> None:
        """Let DNS and flows follow the health of targets; a daemon does so all the time."""
        found = health(self.lab, self.target_states)
        before, after = (
            frozenset(load_balancer_facts(self.lab, self.allocations, one))
            for one in (self.health, found)
        )
        ended = ended_connections(self.lab, self.allocations, self.health, found)
        self.health = found
        self.supervisor.serve(programs(self.lab, self.allocations, found))
        if before != after:
            self.state = self.state - before | after
            self.change(self.state)
        forget(self.store, ended)

    def target_states(self, balancer: str) -> Judged:
        """The targets of a load balancer as it judges them.  Raises KernelError."""
        return targets(self.supervisor.directory(balancer, HAPROXY))

    def pod(self, name: str) -> PodAddress:
        """Where a pod is and which address of which ENI it has.  Raises StopIteration."""
        return next(place for place in self.allocations.pods if place.pod == name)

    def address(self, name: str) -> IpAddress:
        """The address of a pod, node or gateway, or the address that is written there."""
        known = addresses(self.lab, self.allocations)
        return ip_address(known.get(name, name))

    def cluster_ip(self, service: str) -> str:
        """The address of a Service, for whoever calls it.  Raises StopIteration."""
        given = next(one for one in self.allocations.services if one.service == service)
        return str(given.cluster_ip)

    def fact(self, kind: type[AnyFact], **values: Any) -> AnyFact:
        """The one planned fact of a kind with these values.  Raises LookupError unless one."""
        found = [
            fact
            for fact in self.state
            if isinstance(fact, kind)
            and all(getattr(fact, name) == value for name, value in values.items())
        ]
        if len(found) != 1:
            raise LookupError(f"{len(found)} facts are {kind.__name__} with {values}")
        return found[0]

    @contextmanager
    def without(self, *facts: Fact) -> Iterator[None]:
        """The lab without these facts; they are back afterwards."""
        self.change(self.state - frozenset(facts))
        try:
            yield
        finally:
            self.change(self.state)

    def change(self, wanted: State) -> None:
        """Bring the kernel from what it is to other facts."""
        sysctls = [fact for fact in wanted if isinstance(fact, Sysctl)]
        found = observe(self.store, sysctls=sysctls) if self.store.names() else None
        apply(self.store, wanted, found)

    def drift(self) -> Drift:
        """What differs between plan and kernel; false when nothing does."""
        return drift(self.store, self.state)

    @property
    def briefly(self) -> "Bed":
        """The lab as it is now, for probes that nobody is expected to answer."""
        hasty = copy.copy(self)
        hasty.patience_s = SILENCE_S
        return hasty

    def ping(self, source: str, destination: str) -> PingResult:
        """One echo request between names (or to an address)."""
        address = self.address(destination)
        return ping(self.store, source, address, timeout_s=self.patience_s)

    def tcp(self, source: str, destination: str, port: int) -> Outcome:
        """One TCP connection."""
        address = self.address(destination)
        return tcp.probe(self.store, source, address, port, timeout_s=self.patience_s)

    def http(self, source: str, destination: str, port: int = 80) -> Outcome:
        """One GET; the outcome holds what the server saw."""
        address = self.address(destination)
        return http.probe(self.store, source, address, port, timeout_s=self.patience_s)

    def path(self, source: str, destination: str) -> Path:
        """The way between names, as each kernel answers."""
        return path(self.store, self.state, source, self.address(destination))

    def matrix(self, protocol: Probed = "icmp") -> MatrixResult:
        """Every pair of pods."""
        pods = endpoints(self.lab, self.allocations)
        return matrix(self.store, pods, protocol, self.lab.expected, timeout_s=1.0)

    def run(self, place: str, *argv: str) -> Result:
        """A real program in a namespace."""
        with inside(self.store, place):
            files = resolv.shown(self._resolv, place)
            return run(list(argv), timeout_s=PROGRAM_TIMEOUT_S, files=files)


@contextmanager
def bed(lab: Lab) -> Iterator[Bed]:
    """The lab, up; when the block ends the kernel takes all of it away."""
    for module in kernel_modules(lab):
        load(module)
    with ExitStack() as undo:
        store = undo.enter_context(LocalStore())
        servers = Servers(store)
        undo.callback(servers.stop)
        directory = undo.enter_context(temporary.directory())
        supervisor = undo.enter_context(Supervisor(store, directory / "programs"))
        yield Bed(lab, store, servers, supervisor, directory / "resolv")
