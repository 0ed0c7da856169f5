"""A link's shaper: what we write is what tc writes, and what is read is what was written."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.netlink.batch import Wiring, writing
from testbed.kernel.programs.run import run
from testbed.kernel.read.observe import observe
from testbed.kernel.write.apply import apply
from testbed.net.facts import Bridge, Netns, State
from testbed.net.shaping import Limit, Shaper
from testbed.probes.sockets import inside
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

POD, OTHER = IPv4Address("100.96.1.10"), IPv4Address("100.96.1.11")
# Rates at which a burst takes whole ticks (5 and 1 of 64 ns for the last two): others are rounded
# down by older versions of tc, up by newer ones (seen: 6.1 and 6.15).
LIMITS = (
    Limit(1, 10_000, "dst", POD),
    Limit(2, 1, "src", POD),
    Limit(0x10, 40_125_000, "dst", OTHER),
    Limit(0x30, 203_125_000, "src", OTHER),
)
SHAPER = Shaper(ns="n1", dev="cbr0", default=0x30, limits=LIMITS)
# what kubenet and its shaper call (kubernetes v1.14, kubenet_linux.go, pkg/util/bandwidth)
COMMANDS = (
    "qdisc add dev cbr0 root handle 1: htb default 30",
    "class add dev cbr0 parent 1: classid 1:1 htb rate 10000kbit ceil 10000kbit",
    "filter add dev cbr0 protocol ip parent 1:0 prio 1 u32 match ip dst 100.96.1.10/32 flowid 1:1",
    "class add dev cbr0 parent 1: classid 1:2 htb rate 1kbit ceil 1kbit",
    "filter add dev cbr0 protocol ip parent 1:0 prio 1 u32 match ip src 100.96.1.10/32 flowid 1:2",
    "class add dev cbr0 parent 1: classid 1:10 htb rate 40125000kbit ceil 40125000kbit",
    "filter add dev cbr0 protocol ip parent 1:0 prio 1 u32 match ip dst 100.96.1.11/32"
    " flowid 1:10",
    "class add dev cbr0 parent 1: classid 1:30 htb rate 203125000kbit ceil 203125000kbit",
    "filter add dev cbr0 protocol ip parent 1:0 prio 1 u32 match ip src 100.96.1.11/32"
    " flowid 1:30",
)
SHOWN = ("qdisc show dev cbr0", "class show dev cbr0", "filter show dev cbr0 parent 1:")


def state(ns: str, *more: Shaper) -> State:
    bridge = Bridge(ns=ns, name="cbr0", mac="02:00:00:00:00:01", mtu=9001)
    return frozenset({Netns(ns=ns), bridge, *more})


def tc(store: LocalStore, ns: str, line: str) -> str:
    with inside(store, ns):
        result = run(["tc", *line.split()], timeout_s=PATIENCE_S)
    assert result.returncode == 0, f"{line}: {result.stderr}"
    return result.stdout


@pytest.fixture
def store() -> Iterator[LocalStore]:
    """With a bridge in n1; skipped where the kernel has no htb."""
    with LocalStore() as made:
        apply(made, state("n1"))
        with inside(made, "n1"):
            tried = run(["tc", "qdisc", "add", "dev", "cbr0", "root", "htb"], timeout_s=PATIENCE_S)
            if tried.returncode:
                pytest.skip(f"no htb: {tried.stderr.strip()}")
            run(["tc", "qdisc", "del", "dev", "cbr0", "root"], timeout_s=PATIENCE_S)
        yield made


def test_it_is_written_as_tc_writes_it(store: LocalStore) -> None:
    """As tc prints it, to the last word, and as it is read."""
    apply(store, state("n2") | state("n1"), observe(store))
    for line in COMMANDS:
        tc(store, "n2", line)
    apply(store, state("n1", SHAPER), observe(store, ["n1"]))

    for line in SHOWN:
        assert tc(store, "n1", line) == tc(store, "n2", line)
    theirs = observe(store, ["n2"]).state
    assert {replace(fact, ns="n1") for fact in theirs if isinstance(fact, Shaper)} == {SHAPER}
    assert SHAPER in observe(store, ["n1"]).state


def test_it_changes_and_goes_as_a_whole(store: LocalStore) -> None:
    """Over an equal one nothing happens; a bridge that is made anew has it again."""
    fewer = replace(SHAPER, limits=LIMITS[1:2])
    fastest = replace(SHAPER, limits=(Limit(0x30, 10**12, "src", OTHER),))
    moved = Bridge(ns="n1", name="cbr0", mac="02:00:00:00:00:02", mtu=9001)
    with_other_mac = frozenset({Netns(ns="n1"), moved, fewer})

    of_bridge = (state("n1", one) for one in (SHAPER, fewer, fastest))
    for wanted in (*of_bridge, with_other_mac, state("n1")):
        apply(store, wanted, observe(store))
        found = {fact for fact in observe(store).state if isinstance(fact, Shaper | Bridge)}
        assert found == {fact for fact in wanted if isinstance(fact, Shaper | Bridge)}


def test_what_somebody_else_made_is_seen(store: LocalStore) -> None:
    apply(store, state("n1", replace(SHAPER, limits=())), observe(store))
    tc(store, "n1", "class add dev cbr0 parent 1: classid 1:7 htb rate 5mbit")

    [found] = [fact for fact in observe(store).state if isinstance(fact, Shaper)]

    assert found.limits == (Limit(7, 5000),)


def test_only_a_shaper_that_limits_somebody_is_needed() -> None:
    """kubenet puts one at every cbr0; a kernel without htb (ENOENT) carries other labs as well."""
    idle = replace(SHAPER, limits=())
    wiring = Wiring(wanted={}, found={}, new=frozenset(), indexes={"n1": {"cbr0": 2}}, places={})

    [alone] = writing("n1", [idle], wiring, int)
    needed = writing("n1", [SHAPER], wiring, int)

    assert errno.ENOENT in alone.forgiven
    assert not any(errno.ENOENT in one.forgiven for one in needed)
