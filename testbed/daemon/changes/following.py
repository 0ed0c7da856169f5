"""Load balancers' names and flows follow the health of their targets while the daemon runs."""

import asyncio
import logging
from concurrent.futures import Executor
from functools import partial

from testbed.daemon.found import ended_programs, target_states
from testbed.daemon.running import RunningLab
from testbed.errors import TestbedError
from testbed.kernel.read.observe import observe
from testbed.kernel.rules.conntrack import forget
from testbed.kernel.write.apply import apply
from testbed.lab import Lab, health, load_balancers
from testbed.net.facts import Sysctl
from testbed.plan import programs
from testbed.plan.balancers import ended_connections, load_balancer_facts
from testbed.services.load_balancers.health import Health
from testbed.vpc.naming import router

FOLLOW_S = 1.0  # AWS tells no pace; its shortest health check takes 5 s

log = logging.getLogger(__name__)


def follows(lab: Lab) -> bool:
    """Whether there is anything to follow in a lab."""
    return any(load_balancers(lab))


async def follow_balancers(running: RunningLab, kernel: Executor) -> None:
    """Take zones without healthy targets out of names, send flows to healthy targets only.

    Balancers are asked in a thread of their own: a silent one keeps nobody waiting.
    """
    while True:
        await asyncio.sleep(FOLLOW_S)
        try:
            await _follow(running, kernel)
        except (OSError, TestbedError):
            log.exception("the health of load balancers' targets")


async def _follow(running: RunningLab, kernel: Executor) -> None:
    lab = running.lab
    if lab is None:
        return
    found = await asyncio.to_thread(health, lab, partial(target_states, running))
    if found != running.health:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(kernel, _become, running, lab, found)
        log.info("load balancers: %s", found)


def _become(running: RunningLab, lab: Lab, found: Health) -> None:
    """Let DNS and flows follow this health; not if the lab is another one by now.

    A program that has ended stays so: `verify` shows it, `up` heals it.
    """
    if running.lab is not lab:
        return
    ended = {program.key for program in ended_programs(running)}
    wanted = programs(lab, running.allocations, found)
    running.supervisor.serve(one for one in wanted if one.key not in ended)
    _balance(running, lab, found)
    forget(running.store, ended_connections(lab, running.allocations, running.health, found))
    running.health = found


def _balance(running: RunningLab, lab: Lab, found: Health) -> None:
    """Write what follows from the health of targets, and look at no other namespace."""
    before, after = (
        frozenset(load_balancer_facts(lab, running.allocations, one))
        for one in (running.health, found)
    )
    if places := {fact.ns for fact in before ^ after}:
        there = frozenset(fact for fact in after if fact.ns in places)
        sysctls = [fact for fact in there if isinstance(fact, Sysctl)]
        routers = [router(vpc.name) for vpc in lab.vpcs]
        apply(running.store, there, observe(running.store, places, sysctls, near=routers))
        running.state = running.state - before | after
