"""Mininet's nodes, interfaces and links over namespaces that are there already.

Nothing is made here and nothing configured: no mnexec, no ifconfig, no Open vSwitch.  A node's
shell starts with its first command.  Shells and what `node.popen` starts enter as `testbed exec`
does, from a forked Python: `ip netns exec` costs the same (2.3 ms against 2.7), but finds a
namespace's resolv.conf only in /etc/netns, which is the machine's.
"""

import fcntl
import os
import select
import signal
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import SubprocessError, TimeoutExpired
from typing import Any, NoReturn

from mininet.link import Intf
from mininet.log import output
from mininet.node import Node
from mininet.util import errRun

from testbed.daemon.inside import enter_place
from testbed.daemon.shown.prompt import Interface, Place
from testbed.errors import KernelError, UsageError

SENTINEL = chr(127)  # mininet.node: the prompt of a node's shell
SETTLED = "testbed-settled"
HANG_UP_S = 1.0  # seconds a shell may take to answer or to end before it is killed


@contextmanager
def uninterrupted() -> Iterator[None]:
    """^C waits until the block has ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def refused(*_: object, **__: object) -> NoReturn:
    """Instead of Mininet's methods that change a network."""
    raise UsageError(
        "a lab is what its topology says: change the file and run `testbed up` with it"
    )


class LabIntf(Intf):  # type: ignore[misc]  # mininet is untyped
    """A device of a place; its addresses come from the plan, so no command is run for them."""

    def __init__(self, shown: Interface, node: "LabNode") -> None:
        super().__init__(shown.name, node=node, mac=shown.mac, moveIntfFn=_stay)
        self.ip = str(shown.ip) if shown.ip else None

    def config(self, **_: Any) -> dict[str, Any]:
        """Nothing: the device is as it shall be."""
        return {}

    def updateIP(self) -> str | None:
        """The planned address."""
        return self.ip

    def updateMAC(self) -> str | None:
        """The planned MAC."""
        return str(self.mac)

    def updateAddr(self) -> tuple[str | None, str | None]:
        """Both."""
        return self.updateIP(), self.updateMAC()

    def ifconfig(self, *args: str) -> str:
        """Set the device `up` or `down`; what went wrong.  Without either: `ip addr show`."""
        match args:
            case ("up" | "down" as status,):
                return self._ip("link", "set", "dev", self.name, status)
            case ():
                return self._ip("addr", "show", "dev", self.name)
        refused()

    def isUp(self, setUp: bool = False) -> bool:
        """Whether the device is up and its peer too; with `setUp`, set it up first.

        `2: eth0@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9001 qdisc noqueue state UP mode …`:
        LOWER_UP comes earlier, when packets are still dropped.
        """
        if setUp:
            self.ifconfig("up")
        return " state UP " in self._ip("-o", "link", "show", "dev", self.name)

    def status(self) -> str:
        """`OK` or `DOWN`, for `links`."""
        return "OK" if self.isUp() else "DOWN"

    delete = rename = refused

    def _ip(self, *argv: str) -> str:
        printed, problem, _ = errRun(["ip", "-n", self.node.netns, *argv])
        return f"{printed}{problem}"


def _stay(*_: object) -> None:
    """Instead of Mininet's moving of an interface into its node."""


class LabLink:
    """Two devices that are each other's peer."""

    def __init__(self, intf1: LabIntf, intf2: LabIntf) -> None:
        self.intf1, self.intf2 = intf1, intf2
        intf1.link = intf2.link = self

    def status(self) -> str:
        """Both ends, as Mininet prints them: `(OK OK)`."""
        return f"({self.intf1.status()} {self.intf2.status()})"

    def __str__(self) -> str:
        return "<->".join(f"{end.node}/{end}" for end in (self.intf1, self.intf2))

    delete = stop = refused


class LabNode(Node):  # type: ignore[misc]  # mininet is untyped
    """A shell in a namespace of the lab (state: the shell, once there is one)."""

    shell: Any
    isSetup = True  # no search for mnexec and ifconfig

    def __init__(self, place: Place) -> None:
        self.netns = place.netns
        super().__init__(place.name)
        for shown in place.interfaces:
            LabIntf(shown, self)

    def startShell(self, mnopts: Any = None) -> None:
        """Not yet: Mininet asks for it in its constructor; the first command starts it."""

    def cmd(self, *args: Any, **options: Any) -> Any:
        """Run a command and return what it prints."""
        self._wake()
        return super().cmd(*args, **options)

    def sendCmd(self, *args: Any, **options: Any) -> None:
        """Give the shell a command and return at once."""
        self._wake()
        self._catch_up()
        with uninterrupted():  # or nobody would know that a command runs
            super().sendCmd(*args, **options)

    def popen(self, *args: Any, **options: Any) -> Any:
        """A Popen of a program in this namespace."""
        return super().popen(*args, **{"mncmd": [], "preexec_fn": self._enter, **options})

    def read(self, size: int = 1024) -> str:
        """What the shell has printed; nothing when it has ended (`web-0 exit`)."""
        try:
            return str(super().read(size))
        except OSError:  # EIO: nobody has the other side of the terminal open any more
            self.terminate()
            self.waiting = False
            return ""

    def terminate(self) -> None:
        """End the shell and what it runs, by process id; one that stays is killed."""
        if self.shell is None:
            return
        if self.shell.poll() is None:
            os.killpg(self.shell.pid, signal.SIGHUP)
            try:
                self.shell.wait(HANG_UP_S)
            except TimeoutExpired:
                os.killpg(self.shell.pid, signal.SIGKILL)
        self.cleanup()

    def cleanup(self) -> None:
        """Bury the shell and close our side of its terminal."""
        if self.shell is not None:
            self.shell.wait()
            self.stdin.close()
        self.shell = self.pid = None

    def settle(self) -> None:
        """Forget what was typed after a command had ended, and the prompts that came of it.

        Each would end a later command early.  ^C drops what the shell has not read yet.
        """
        self.write(f"\x03echo {SETTLED}\n")
        deadline = time.monotonic() + HANG_UP_S
        text = ""
        while self.shell and f"{SETTLED}\r\n{SENTINEL}" not in text:
            if not self._has_printed(deadline - time.monotonic()):
                self.terminate()  # it reads something else by now; the next command has a new one
                return
            text += self.read()

    def stop(self, *_: object, **__: object) -> None:
        """End the shell; the place stays."""
        self.terminate()

    def start(self, controllers: Any) -> None:
        """Nothing: it runs since the lab is up."""

    def dpctl(self, *_: str) -> str:
        """The answer to `dpctl`."""
        return "no OpenFlow here: routing, see `ip rule` and `ip route`\n"

    setIP = setMAC = setARP = setHostRoute = setDefaultRoute = refused
    config = configDefault = linkTo = deleteIntfs = refused

    def _wake(self) -> None:
        """Start the shell if there is none."""
        if self.shell is not None:
            return
        try:
            super().startShell()
        except SubprocessError:  # what `_begin` raised in the process to be
            os.close(self.master)
            os.close(self.slave)
            raise KernelError(
                f"no shell in {self.name}: cannot enter namespace '{self.netns}'; is the lab up?"
            ) from None
        except BaseException:
            self.terminate()
            raise

    def _catch_up(self) -> None:
        """Show what came since the last command ended (`web-0 tcpdump &`)."""
        while self.shell and self._has_printed():
            output(self.read().replace(SENTINEL, "").replace("\r\n", "\n"))
        self._wake()

    def _has_printed(self, timeout_s: float = 0.0) -> bool:
        """Whether reading would not block; Mininet's own poller asks for writing as well."""
        ready = select.poll()
        ready.register(self.stdout, select.POLLIN)
        return bool(ready.poll(max(0.0, timeout_s) * 1000))

    def _enter(self) -> None:
        """In the process to be: into the namespace."""
        enter_place(self.netns)

    def _begin(self) -> None:
        """In the shell to be: standard input becomes the controlling terminal: ^C signals."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self._enter()

    def _popen(self, cmd: list[str], **options: Any) -> Any:
        """Mininet starts its shells by `mnexec -cdn env …`; ours enter and get a terminal."""
        if cmd[0] != "mnexec":
            return super()._popen(cmd, **options)
        shell = cmd[cmd.index("env") :]
        options |= {"start_new_session": True, "preexec_fn": self._begin}
        try:
            started = super()._popen(shell, **options)
        except OSError as refused:  # ENOMEM: the lab's first process has ended, so none can start
            raise SubprocessError(str(refused)) from refused
        os.close(self.slave)  # the shell has it; we want to see when it is closed for good
        return started


class Pod(LabNode):
    """A pod, a host to Mininet: `pingall` pings between all of them."""


class Instance(LabNode):
    """A worker node."""


class Router(LabNode):
    """A VPC, a gateway or the internet."""
