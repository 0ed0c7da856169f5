"""The daemon's process: it listens, lets one thread do all kernel work, and answers.

The kernel thread is the only one that enters namespaces (`setns` is per thread) and always returns
home; the event loop answers for the pods meanwhile.
"""

import asyncio
import functools
import json
import logging
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from testbed.daemon.changes.following import follow_balancers
from testbed.daemon.process.home import Home
from testbed.daemon.process.protocol import Json, failure, line
from testbed.daemon.running import RunningLab
from testbed.daemon.syncing import sync_proxies
from testbed.daemon.verbs import VERBS
from testbed.errors import TestbedError
from testbed.kernel.machine.garbage import collect_rarely
from testbed.kernel.machine.limits import raise_descriptor_limit

LONGEST_REQUEST = 64 << 20  # bytes: the JSON of a lab of 10,000 pods is some 4 MB

log = logging.getLogger(__name__)


def main(home: Home, ready: Callable[[], None]) -> None:
    """Be the daemon of this lab until it ends; call `ready` when it listens."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    raise_descriptor_limit()
    collect_rarely()
    asyncio.run(_serve(home, ready))


async def _serve(home: Home, ready: Callable[[], None]) -> None:
    listener = _listen(home)
    with ThreadPoolExecutor(1, thread_name_prefix="kernel") as kernel:
        running = RunningLab(home)
        await asyncio.get_running_loop().run_in_executor(kernel, running.adopt)
        answer = functools.partial(_answer, running, kernel)
        server = await asyncio.start_unix_server(answer, sock=listener, limit=LONGEST_REQUEST)
        ready()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow_balancers(running, kernel))
            tasks.create_task(sync_proxies(running, kernel))
            tasks.create_task(server.serve_forever())


def _listen(home: Home) -> socket.socket:
    """Our socket, for our own user alone, instead of a dead daemon's."""
    home.socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(home.socket))
    finally:
        os.umask(mask)
    return listener


def _may_talk(connection: socket.socket) -> bool:
    """Whether the peer is this daemon's own user: root, or the lab's ordinary user.

    The kernel tells who connected, as seen from here: an ordinary user's daemon takes its user for
    root, and everybody else, root of the machine too, for user 65534.
    """
    credentials = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    _, user, _ = struct.unpack("3i", credentials)
    return bool(user == os.geteuid())


async def _answer(
    running: RunningLab,
    kernel: ThreadPoolExecutor,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """One connection: one request, its progress, its result."""
    loop = asyncio.get_running_loop()

    def progress(text: str) -> None:
        loop.call_soon_threadsafe(writer.write, line({"progress": text}))

    try:
        if _may_talk(writer.get_extra_info("socket")):
            request = json.loads(await reader.readline())
            writer.write(line(await _result(running, kernel, request, progress)))
            await writer.drain()
    except (ConnectionError, ValueError) as gone:
        log.info("a client went away: %s", gone)
    finally:
        writer.close()


async def _result(
    running: RunningLab, kernel: ThreadPoolExecutor, request: Json, progress: Callable[[str], None]
) -> Json:
    loop = asyncio.get_running_loop()
    try:
        verb = functools.partial(VERBS[request["verb"]], running, progress, **request["args"])
        return {"result": await loop.run_in_executor(kernel, verb)}
    except TestbedError as error:
        return failure(error)
    except Exception as error:
        log.exception("request %.200s", request)
        return failure(error)
