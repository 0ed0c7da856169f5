"""Rules that change under traffic: nothing is lost that both sets allow, and nothing slips in."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from itertools import count

import pytest

from testbed.bed import Bed
from testbed.probes.sockets import socket_in
from testbed.vpc.security.model import AclEntry, GroupRule, NetworkAcl, Range, SecurityGroup
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

ECHO, DISCARD = 7, 9
VPC, SUBNET = IPv4Network("10.0.0.0/16"), IPv4Network("10.0.2.0/24")

Become = Callable[..., Bed]


class Caller(threading.Thread):
    """Sends datagram after datagram, each when the last one is back (state: how many)."""

    def __init__(self, bed: Bed, source: str, to: str) -> None:
        super().__init__(name="caller")
        self._socket = socket_in(bed.store, source, kind=socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect((str(bed.address(to)), ECHO))
        self._ends = threading.Event()
        self.answered = 0
        self.lost = 0

    def run(self) -> None:
        """Until it is told to stop, or the first loss."""
        for number in count():
            if self._ends.is_set() or self.lost:
                return
            self._socket.send(b"%d" % number)
            try:
                self._socket.recv(2048)
                self.answered += 1
            except TimeoutError:
                self.lost += 1

    def stop(self) -> None:
        """Return when the last datagram is back, or lost."""
        self._ends.set()
        self.join()
        self._socket.close()


@contextmanager
def calling(bed: Bed, source: str, to: str) -> Iterator[Caller]:
    """While the block runs, one pod calls another."""
    caller = Caller(bed, source, to)
    caller.start()
    try:
        yield caller
    finally:
        caller.stop()


def described(*ingress: GroupRule, acl: bool = False) -> dict[str, object]:
    """a-1 with these rules, called by b-1; acl: subnet a has one that allows everything."""
    groups = (SecurityGroup("web", ingress=ingress), SecurityGroup("client"))
    nodes = {"a-1": ("web",), "b-1": ("client",)}
    everything = (AclEntry(rule_number=100, cidr=IPv4Network("0.0.0.0/0"), action="allow"),)
    acls = {"a": NetworkAcl("open", everything, everything)} if acl else {}
    return {"groups": groups, "nodes": nodes, "acls": acls}


WIDE = GroupRule(protocol="udp", cidr=VPC)
NARROW = GroupRule(protocol="udp", ports=Range(ECHO, ECHO), cidr=SUBNET)
BY_GROUP = GroupRule(protocol="udp", group="client")
BY_GROUP_ECHO = GroupRule(protocol="udp", ports=Range(ECHO, ECHO), group="client")
OPEN = GroupRule(cidr=IPv4Network("0.0.0.0/0"))  # not tracked: each packet is judged


def test_no_packet_is_lost_while_rules_change(become: Become) -> None:
    """Sets, maps, chains and stages come and go; what is open both ways is judged each time."""
    states = [
        described(OPEN),
        described(WIDE, OPEN),
        described(NARROW, OPEN, acl=True),
        described(BY_GROUP, OPEN),
        described(OPEN, GroupRule(protocol="tcp", ports=Range(80, 80), group="client")),
    ]
    bed = become(**states[-1])

    with calling(bed, "b-1", "a-1") as caller:
        for state in states:
            before = caller.answered
            become(**state)
            assert caller.answered > before, "premise: it calls all the time"

    assert caller.lost == 0
    assert caller.answered > 50


class Knocker(threading.Thread):
    """Sends datagrams without waiting for anything (state: how many)."""

    def __init__(self, bed: Bed, source: str, to: str) -> None:
        super().__init__(name="knocker")
        self._socket = socket_in(bed.store, source, kind=socket.SOCK_DGRAM)
        self._socket.connect((str(bed.address(to)), DISCARD))
        self._ends = threading.Event()
        self.sent = 0

    def run(self) -> None:
        """One each half a millisecond, until it is told to stop."""
        while not self._ends.wait(0.0005):
            self._socket.send(b"knock")
            self.sent += 1

    def stop(self) -> None:
        """Return when it sends no more."""
        self._ends.set()
        self.join()
        self._socket.close()


def test_no_packet_slips_in_while_rules_change(become: Become) -> None:
    """Rules that were taken away before the new ones are there would let everything in."""
    states = [
        described(BY_GROUP_ECHO),
        described(NARROW, acl=True),
        described(NARROW, BY_GROUP_ECHO),
        described(),
    ]
    bed = become(**states[-1])
    with socket_in(bed.store, "a-1", kind=socket.SOCK_DGRAM) as ear:
        ear.bind(("0.0.0.0", DISCARD))
        ear.setblocking(False)
        knocker = Knocker(bed, "b-1", "a-1")
        knocker.start()
        try:
            for state in states:
                before = knocker.sent
                become(**state)
                assert knocker.sent > before, "premise: it knocks all the time"
            with pytest.raises(BlockingIOError):
                ear.recv(16)

            become(**described(WIDE))
            ear.settimeout(PATIENCE_S)
            assert ear.recv(16) == b"knock", "control: it arrives where it may"
        finally:
            knocker.stop()
