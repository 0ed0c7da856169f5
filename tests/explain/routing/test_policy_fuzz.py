"""Rules and tables as evaluated here, against the kernel's own answers: no difference."""

import errno
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from testbed.explain.routing.decision import Decision
from testbed.explain.routing.reverse_path import ReversePath
from testbed.explain.walk.world import World
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import Message, Refusal, attribute, attribute_u32, attributes, u32
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import implied
from testbed.net.facts import (
    ANYWHERE,
    LOCAL,
    Address,
    Fact,
    Netns,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)
from testbed.probes.sockets import inside

pytestmark = pytest.mark.kernel

NS = "router"
DEVICES = ("d0", "d1", "d2")
MARKS = (0, 0x1, 0x3, 0x80, 0x81, 0x4000, 0xFF)
MASKS = ((0, 0), (0, 0), (0, 0), (0x80, 0x80), (0x1, 0xFFFFFFFF), (0x3, 0xF), (0, 0x80))
KINDS = ("unicast",) * 6 + ("blackhole", "unreachable", "prohibit", "throw")
ERRORS = {
    errno.ENETUNREACH: "none",
    errno.EHOSTUNREACH: "unreachable",
    errno.EACCES: "prohibit",
    errno.EINVAL: "blackhole",  # a refused source too
    errno.EXDEV: "blackhole",
}
KIND_NAMES = {number: name for name, number in uapi.ROUTE_KINDS.items()}
ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg


@dataclass(frozen=True)
class Key:
    """A packet, as far as routing looks at it."""

    source: int
    destination: int
    iif: str
    mark: int


Answer = tuple[str, int, str, str]  # kind, table, prefix, device


def links(namespace: str, peer: str, digit: int) -> Iterator[Veth]:
    for place, dev in enumerate(DEVICES):
        mac = f"02:00:00:00:0{digit}:0{place}"
        yield Veth(ns=namespace, name=dev, peer_ns=peer, peer=dev, mac=mac, mtu=1500)


class Configurations:
    """Random rules, routes, addresses and settings, of few prefixes so that they meet."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pool = [self.network() for _ in range(7)]

    def network(self) -> IPv4Network:
        first = self.random.choice((10, 20)) << 24 | self.random.getrandbits(24)
        length = self.random.choice((8, 14, 16, 20, 24, 28, 31, 32))
        return IPv4Network((first, length), strict=False)

    def inside(self) -> int:
        network = self.random.choice(self.pool)
        return int(network.network_address) + self.random.randrange(network.num_addresses)

    def state(self) -> State:
        facts: list[Fact] = [Netns(ns=NS), Netns(ns="far")]
        facts += [*links(NS, "far", 1), *links("far", NS, 2)]
        facts += self.settings()
        facts += self.addresses()
        if self.random.random() < 0.9:
            facts += [self.rule() for _ in range(self.random.randrange(14))]
        connected = {route.key: route for route in implied(frozenset(facts))}
        facts += [self.route() for _ in range(30)]
        unique = {fact.key: fact for fact in facts if fact.key not in connected}
        return frozenset(unique.values())

    def settings(self) -> Iterator[Sysctl]:
        yield Sysctl(ns=NS, name="net.ipv4.ip_forward", value="1")
        for setting, values in (
            ("rp_filter", "0012"),
            ("accept_local", "0001"),
            ("send_redirects", "01"),
            ("src_valid_mark", "01"),
        ):
            for scope in ("all", "default", *DEVICES):
                value = self.random.choice(values)
                yield Sysctl(ns=NS, name=f"net.ipv4.conf.{scope}.{setting}", value=value)

    def addresses(self) -> Iterator[Address]:
        """No two devices in one subnet: which of their routes comes first is in no fact."""
        for place, dev in enumerate(DEVICES[: self.random.randint(1, 3)]):
            yield Address(ns=NS, dev=dev, ip=IPv4Interface(f"192.168.{place}.1/24"))
        taken: set[IPv4Network] = set()
        for _ in range(self.random.randrange(3)):
            length = self.random.choice((24, 30, 31, 32))
            dev = self.random.choice(("lo", *DEVICES))
            ip = IPv4Interface((self.inside(), length))
            if not any(ip.network.overlaps(network) for network in taken):
                taken.add(ip.network)
                yield Address(ns=NS, dev=dev, ip=ip)

    def rule(self) -> Rule:
        mark, mask = self.random.choice(MASKS)
        some = self.random.random
        return Rule(
            ns=NS,
            priority=self.random.choice((0, 100, 512, 1024, 1536, 32766, 40000)),
            table=self.random.choice((2, 3, 1000, 253, 254, 255)),
            src=self.random.choice(self.pool) if some() < 0.5 else ANYWHERE,
            dst=self.random.choice(self.pool) if some() < 0.4 else ANYWHERE,
            fwmark=mark,
            fwmask=mask,
            iif=self.random.choice((*DEVICES, "lo")) if some() < 0.25 else "",
        )

    def route(self) -> Route:
        kind = self.random.choice(KINDS)
        place = self.random.randrange(len(DEVICES))
        unicast = kind == "unicast"
        on_link = self.random.random() < 0.5
        return Route(
            ns=NS,
            table=self.random.choice((2, 3, 1000, 253, 254, 254)),
            dst=self.random.choice((*self.pool, ANYWHERE)),
            kind=kind,
            dev=DEVICES[place] if unicast else "",
            via=IPv4Address(f"192.168.{place}.2") if unicast and not on_link else None,
            scope="link" if unicast and on_link else "global",
            onlink=unicast and not on_link,
            metric=self.random.choice((0, 0, 10, 20)),
        )

    def key(self) -> Key:
        sent = self.random.random() < 0.2
        return Key(
            source=0 if sent else self.inside(),
            destination=self.inside(),
            iif="" if sent else self.random.choice(DEVICES),
            mark=self.random.choice(MARKS),
        )


class Evaluation:
    """Our own answers of one configuration."""

    def __init__(self, state: State) -> None:
        space = World.planned(state).space(NS)
        self.routing = space.routing
        self.checks: ReversePath = space.reverse_path

    def answer(self, key: Key) -> Answer:
        found = self.routing.decide(key.source, key.destination, key.iif, key.mark)
        if found.route is None or found.kind in ("blackhole", "unreachable", "prohibit"):
            return (found.kind, 0, "", "")
        if key.iif and self.refused(key, found):
            return ("blackhole", 0, "", "")
        return (found.kind, found.route.table, str(found.route.dst), found.dev)

    def refused(self, key: Key, found: Decision) -> bool:
        destination = 0 if found.kind == "broadcast" else key.destination
        out = found.dev if found.kind == "unicast" else ""
        checks = self.checks.refuses_source
        return bool(checks(key.source, destination, key.iif, out, key.mark))


def question(key: Key, indexes: dict[str, int]) -> bytes:
    flags = uapi.RTM_F_LOOKUP_TABLE | uapi.RTM_F_FIB_MATCH
    body = ROUTE.pack(socket.AF_INET, 32, 32 if key.source else 0, 0, 0, 0, 0, 0, flags)
    body += attribute_u32(uapi.RTA_MARK, key.mark)
    body += attribute(uapi.RTA_DST, key.destination.to_bytes(4, "big"))
    if key.source:
        body += attribute(uapi.RTA_SRC, key.source.to_bytes(4, "big"))
    return body + (attribute_u32(uapi.RTA_IIF, indexes[key.iif]) if key.iif else b"")


def kernel_answer(answer: Message | Refusal, devices: dict[int, str]) -> Answer:
    if isinstance(answer, Refusal):
        return (ERRORS[answer.errno], 0, "", "")
    _, length, _, _, _, _, _, kind, _ = ROUTE.unpack_from(answer.body)
    found = attributes(answer.body, ROUTE.size)
    address = int.from_bytes(found.get(uapi.RTA_DST, bytes(4)), "big")
    device = devices[u32(found[uapi.RTA_OIF])] if uapi.RTA_OIF in found else ""
    prefix = str(IPv4Network((address, length)))
    name = KIND_NAMES[kind]
    # without rules of one's own local is a part of main, and the kernel says main
    table = LOCAL if name in ("local", "broadcast") else u32(found[uapi.RTA_TABLE])
    return (name, table, prefix, device)


def differences(seed: int, keys: int) -> list[str]:
    """Every key of a configuration that the kernel answers otherwise."""
    configuration = Configurations(seed)
    state = configuration.state()
    ours = Evaluation(state)
    different = []
    with LocalStore() as store:
        apply(store, state)
        with inside(store, NS), NetlinkSocket() as kernel:
            indexes = {name: index for index, name in socket.if_nameindex()}
            devices = {index: name for name, index in indexes.items()}
            for _ in range(keys):
                key = configuration.key()
                asked = kernel.ask(uapi.RTM_GETROUTE, question(key, indexes))
                theirs = kernel_answer(asked, devices)
                if theirs != (own := ours.answer(key)):
                    different.append(f"seed {seed}: {key}: kernel {theirs}, ours {own}")
    return different


@pytest.mark.parametrize("block", range(8))
def test_no_key_of_random_configurations_is_answered_otherwise_by_the_kernel(block: int) -> None:
    """8 x 30 configurations x 450 keys: 108,000."""
    seeds = range(block * 30, block * 30 + 30)

    assert [one for seed in seeds for one in differences(seed, keys=450)] == []
