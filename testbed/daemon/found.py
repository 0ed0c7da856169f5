"""What is found in a running lab, against what was planned or is wanted next."""

from testbed.daemon.running import RunningLab
from testbed.errors import KernelError
from testbed.kernel.read import differences
from testbed.lab import Lab
from testbed.net.drift.diff import Drift
from testbed.net.facts import State
from testbed.net.served.endpoints import Listener
from testbed.net.served.programs import Program
from testbed.plan import listeners, plan, programs
from testbed.probes.asked.targets import targets
from testbed.services.load_balancers.health import HAPROXY, Judged


def drift(running: RunningLab) -> Drift:
    """What differs between the plan and the kernel."""
    return differences.drift(running.store, running.state)


def drift_to(running: RunningLab, lab: Lab) -> tuple[Drift, State]:
    """What `up` of this lab would change, and into what."""
    wanted = plan(lab, running.allocated(lab), running.health)
    return differences.drift(running.store, wanted), wanted


def ended_programs(running: RunningLab) -> tuple[Program, ...]:
    """The lab's programs that do not run any more."""
    wanted = programs(running.described(), running.allocations, running.health)
    return running.supervisor.ended(wanted)


def silent_ports(running: RunningLab) -> frozenset[Listener]:
    """The lab's ports that nobody serves any more."""
    servers = running.servers
    if servers.wanted is None:  # an earlier worker had it
        servers.wanted = frozenset(listeners(running.described(), running.allocations))
    return servers.silent


def target_states(running: RunningLab, balancer: str) -> Judged:
    """The targets of a load balancer and whether it uses them; empty when it is silent."""
    try:
        return targets(running.supervisor.directory(balancer, HAPROXY))
    except KernelError:
        return {}
