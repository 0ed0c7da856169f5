"""A worker: it has the lab at hand, answers who comes, and ends when nobody has come for a while.

The kernel thread is the only one that enters namespaces (`setns` is per thread) and always returns
home; the event loop takes what comes meanwhile.
"""

import asyncio
import functools
import gc
import json
import logging
import os
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from testbed.daemon.changes.following import follow_balancers, follows
from testbed.daemon.process.home import Home
from testbed.daemon.process.keeper import Kept
from testbed.daemon.process.protocol import Json, failure, line
from testbed.daemon.running import RunningLab
from testbed.daemon.syncing import sync_proxies, syncs
from testbed.daemon.verbs import VERBS
from testbed.errors import TestbedError
from testbed.kernel.machine.processes import end_with_parent

REST_S = 10.0  # without a question; of 3,000 pods the next one then takes a second more
LOOK_S = 0.5  # between two looks whether that is so
LONGEST_REQUEST = 64 << 20  # bytes: the JSON of a lab of 10,000 pods is some 4 MB

log = logging.getLogger(__name__)


def work(home: Home, listener: socket.socket, kept: Kept) -> NoReturn:
    """Be a worker, in a child of the daemon; it ends with the errno of what was in its way."""
    code = 1
    try:
        end_with_parent()
        gc.freeze()  # to look for cycles among the daemon's objects would copy all their memory
        asyncio.run(_work(home, listener, kept))
        code = 0
    except Exception as error:
        log.exception("a worker")
        if isinstance(error, OSError) and error.errno:
            code = error.errno
        raise
    finally:
        os._exit(code)


async def _work(home: Home, listener: socket.socket, kept: Kept) -> None:
    with (
        ThreadPoolExecutor(1, thread_name_prefix="kernel") as kernel,
        RunningLab(home, kept) as lab,
    ):
        worker = Worker(lab, kernel)
        await worker.answer_all(listener)


class Worker:
    """Who is being answered, and since when nobody is (state: that)."""

    def __init__(self, running: RunningLab, kernel: ThreadPoolExecutor) -> None:
        self._running = running
        self._kernel = kernel
        self._answering: set[asyncio.Task[None]] = set()
        self._left_s = time.monotonic()
        self._has_adopted = False
        self._refused: OSError | None = None  # what keeps us from letting anybody in

    async def answer_all(self, listener: socket.socket) -> None:
        """Answer who comes, and look after the lab, until there is nothing to do.

        Who comes later than that waits for the next worker: the listener is the daemon's.
        """
        loop = asyncio.get_running_loop()
        loop.add_reader(listener, self._accept, listener)
        chores = [
            loop.create_task(follow_balancers(self._running, self._kernel)),
            loop.create_task(sync_proxies(self._running, self._kernel)),
        ]
        while not self._has_nothing_to_do():
            if self._refused:
                raise self._refused
            await asyncio.sleep(LOOK_S)
        loop.remove_reader(listener)
        for chore in chores:
            chore.cancel()

    def _has_nothing_to_do(self) -> bool:
        if self._answering or time.monotonic() - self._left_s < REST_S:
            return False
        lab = self._running.lab
        return lab is None or not (follows(lab) or syncs(lab))

    def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as refused:  # no descriptor is left: those who are here go first
            log.warning("somebody waits: %s", refused)
            self._refused = None if self._answering else refused
            loop.remove_reader(listener)
            loop.call_later(LOOK_S, loop.add_reader, listener, self._accept, listener)
            return
        answering = loop.create_task(self._answer(connection))
        self._answering.add(answering)
        answering.add_done_callback(self._answered)

    def _answered(self, answering: asyncio.Task[None]) -> None:
        self._answering.discard(answering)
        self._left_s = time.monotonic()

    async def _answer(self, connection: socket.socket) -> None:
        """One connection: one request, its progress, its result."""
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=LONGEST_REQUEST)

        def progress(text: str) -> None:
            loop.call_soon_threadsafe(writer.write, line({"progress": text}))

        try:
            # `ls` comes and says nothing: it only looks whether somebody is there
            if _may_talk(connection) and (asked := await reader.readline()):
                writer.write(line(await self._result(json.loads(asked), progress)))
                await writer.drain()
        except (ConnectionError, ValueError) as gone:
            log.info("a client went away: %s", gone)
        finally:
            writer.close()

    async def _result(self, request: Json, progress: Callable[[str], None]) -> Json:
        loop = asyncio.get_running_loop()
        try:
            verb = functools.partial(
                VERBS[request["verb"]], self._running, progress, **request["args"]
            )
            return {"result": await loop.run_in_executor(self._kernel, self._done, verb)}
        except TestbedError as error:
            return failure(error)
        except Exception as error:
            log.exception("request %.200s", request)
            return failure(error)

    def _done(self, verb: Callable[[], Json]) -> Json:
        """What a verb returns, of the lab as it was applied last."""
        if not self._has_adopted:
            self._running.adopt()
            self._has_adopted = True
        return verb()


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
