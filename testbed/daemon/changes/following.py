"""Load balancers' names and flows follow the health of their targets while the daemon runs."""

import asyncio
import logging
from concurrent.futures import Executor

from testbed.daemon.running import RunningLab
from testbed.errors import TestbedError
from testbed.lab import health

FOLLOW_S = 1.0  # AWS tells no pace; its shortest health check takes 5 s

log = logging.getLogger(__name__)


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
    found = await asyncio.to_thread(health, lab, running.target_states)
    if found != running.health:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(kernel, running.follow, lab, found)
        log.info("load balancers: %s", found)
