"""The names of load balancers follow the health of their targets while the daemon runs."""

import asyncio
import logging
from concurrent.futures import Executor

from testbed.daemon.running import RunningLab
from testbed.errors import TestbedError
from testbed.lab import left_out

FOLLOW_S = 1.0  # AWS tells no pace; its shortest health check takes 5 s

log = logging.getLogger(__name__)


async def follow_balancers(running: RunningLab, kernel: Executor) -> None:
    """Take a zone without healthy targets out of the name, and put it back, at every change.

    Balancers are asked in a thread of their own: a silent one keeps nobody waiting.
    """
    while True:
        await asyncio.sleep(FOLLOW_S)
        try:
            await _follow(running, kernel)
        except (OSError, TestbedError):
            log.exception("the names of load balancers")


async def _follow(running: RunningLab, kernel: Executor) -> None:
    lab = running.lab
    if lab is None:
        return
    found = await asyncio.to_thread(left_out, lab, running.target_states)
    if found != running.left_out:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(kernel, running.leave_out, lab, found)
        log.info("load balancers that are left out of their names: %s", sorted(found) or "none")
