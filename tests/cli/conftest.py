"""A small topology under a name of its own, and the command line as users run it."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from testbed.daemon.process.home import Home
from testbed.kernel.machine import mounts
from testbed.kernel.machine.processes import forks
from testbed.kernel.machine.scratch import in_scratch
from tests import ordinary
from tests.waiting import PATIENCE_S, wait_until

TOPOLOGY = """\
testbed: v1
name: {name}
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: {{ cidr: 10.0.1.0/24, availabilityZone: us-west-2a }}
      b: {{ cidr: 10.0.2.0/24, availabilityZone: us-west-2b }}
clusters:
  eks:
    vpc: main
    nodes:
      node-1: {{ subnet: a, instanceType: t3.small }}
      node-2: {{ subnet: b, instanceType: t3.small }}
    services:
      web: {{ selector: {{ app: web }}, ports: [80] }}
    pods:
      web: {{ replicas: 2, node: node-1 }}
      client: {{ node: node-2 }}
"""


NUMBERS = count()  # two labs of one process have two names
HOST_S = 3600.0  # a test on a host of its own may be told to go on for long


class Commands:
    """The command line against one lab that no other test has."""

    def __init__(self, directory: Path) -> None:
        self.name = f"test-{os.getpid()}-{next(NUMBERS)}"
        self.file = directory / "lab.yaml"
        self.file.write_text(TOPOLOGY.format(name=self.name))

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """A verb, started."""
        return subprocess.Popen(
            [sys.executable, "-m", "testbed", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *words: str, code: int = 0, stdin: str = "") -> str:
        """What a verb prints; its exit code is as expected."""
        process = self.start(*words)
        output, errors = process.communicate(stdin, timeout=PATIENCE_S)
        assert process.returncode == code, f"{words}: {process.returncode}\n{output}\n{errors}"
        return output + errors if code else output

    def on(self, verb: str, *words: str, code: int = 0, stdin: str = "") -> str:
        """A verb on this lab."""
        return self.run(verb, "-l", self.name, *words, code=code, stdin=stdin)

    def up(self) -> str:
        """The lab, up."""
        return self.run("up", str(self.file))

    def down(self) -> str:
        """The lab, down."""
        return self.run("down", self.name)

    def running(self) -> bool:
        """Whether `ls` has the lab."""
        return self.name in [row["name"] for row in json.loads(self.run("ls", "-o", "json"))]

    def daemon(self) -> int:
        """The daemon's process id on the host."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(Home(self.name).socket))
            size = struct.calcsize("3i")
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack("3i", credentials)[0])

    def worker(self) -> int:
        """The process that answers who asks, while somebody does."""
        daemon = self.daemon()
        self.on("get", "pods")
        [worker] = forks(daemon)
        return worker

    def kill_worker(self) -> int:
        """End it as a crash would, and wait until it is gone; the daemon, which goes on."""
        daemon = self.daemon()
        self.on("get", "pods")  # nobody waits any more: that would bring another one
        for worker in forks(daemon):
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not [*forks(daemon)])
        return daemon

    def servers(self) -> int:
        """The process that answers for the pods."""
        daemon = self.daemon()
        children = Path(f"/proc/{daemon}/task").glob("*/children")
        [servers] = [
            pid
            for file in children
            for pid in file.read_text().split()
            if b"testbed.probes.servers" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        ]
        return int(servers)

    def kill_daemon(self) -> None:
        """End the daemon as a crash would, and wait until it is gone."""
        handle = os.pidfd_open(self.daemon())
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        assert poll.poll(PATIENCE_S * 1000), "the daemon does not end"
        os.close(handle)


OnAHost = Callable[[Callable[[Commands], None]], None]


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    """Commands on a lab that is gone after the test."""
    given = Commands(tmp_path)
    yield given
    given.down()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands on a lab that is up, for tests that leave it as it is."""
    given = Commands(tmp_path_factory.mktemp("lab"))
    given.up()
    yield given
    given.down()


@pytest.fixture
def on_a_host(tmp_path: Path) -> OnAHost:
    """Runs a test on a host of its own: an empty /run, nobody else's processes or namespaces."""

    def run(test: Callable[[Commands], None]) -> None:
        def work() -> None:
            flags = mounts.MS_NOSUID | mounts.MS_NODEV
            mounts.mount("tmpfs", "/run", "tmpfs", flags, "mode=0755")
            test(Commands(tmp_path))

        in_scratch(work, timeout_s=HOST_S)

    return run


@pytest.fixture
def on_a_users_host(on_a_host: OnAHost) -> OnAHost:
    """The same as an ordinary user, who has no sudo; the labs are the user's own."""
    ordinary.skip_unless_possible()

    def run(test: Callable[[Commands], None]) -> None:
        def work(_: Commands) -> None:
            Path("/run/testbed").mkdir()  # root has labs of its own
            home = Path("/run/user")
            home.mkdir(mode=0o700)
            os.chown(home, ordinary.USER, ordinary.USER)
            os.environ |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
            os.environ["TESTBED_ROOTLESS"] = "1"
            ordinary.become()
            test(Commands(home))

        on_a_host(work)

    return run
