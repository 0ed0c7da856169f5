"""What the kernel refuses is told by name, and the thread is at home again."""

import os
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from testbed.errors import KernelError
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import Drift
from testbed.net.facts import ANYWHERE, Address, Fdb, Netns, Route, State, Sysctl
from tests.kernel.write.small_lab import GATEWAY, LAB, drift

pytestmark = pytest.mark.kernel


def test_a_refusal_names_namespace_fact_and_the_kernels_reason(store: LocalStore) -> None:
    unreachable = Route(ns="pod", dst=ANYWHERE, via=IPv4Address("192.0.2.1"), dev="eth0")

    with pytest.raises(KernelError) as refused:
        apply(store, LAB - {fact for fact in LAB if fact.key == unreachable.key} | {unreachable})

    assert "pod: default via 192.0.2.1 dev eth0" in str(refused.value)
    assert "Network is unreachable (Nexthop has invalid gateway)" in str(refused.value)


def test_a_fact_of_a_device_that_is_not_there_is_refused_by_name(store: LocalStore) -> None:
    lost = Address(ns="pod", dev="eth9", ip=IPv4Interface("10.0.1.5/32"))

    with pytest.raises(KernelError, match=r"pod: .*10\.0\.1\.5/32.*there is no 'eth9'"):
        apply(store, frozenset({Netns(ns="pod"), lost}))


def test_a_sysctl_that_is_not_there_is_refused_by_name(store: LocalStore) -> None:
    unknown = Sysctl(ns="pod", name="net.ipv4.no_such", value="1")

    with pytest.raises(KernelError, match=r"pod: sysctl net\.ipv4\.no_such = 1: No such file"):
        apply(store, frozenset({Netns(ns="pod"), unknown}))


def test_a_batch_may_be_larger_than_a_socket_sends_at_once(store: LocalStore) -> None:
    """4,000 routes are 190 KB; the default send buffer of a socket refuses more than 212 KB."""
    lab: State = frozenset({Netns(ns="n1")}) | {
        Route(ns="n1", dst=IPv4Network((0x0A000000 + i, 32)), kind="blackhole", metric=7)
        for i in range(4000)
    }

    apply(store, lab)

    assert drift(store, lab) == Drift()


def test_the_first_of_very_many_refusals_is_told(store: LocalStore) -> None:
    """The kernel cannot keep thousands of refusals for a socket; the last answer may be lost."""
    lab: State = frozenset({Netns(ns="n1")}) | {
        Route(ns="n1", dst=IPv4Network((0x0A000000 + i, 32)), via=GATEWAY) for i in range(4000)
    }

    with pytest.raises(KernelError, match=r"n1: 10\.0\.0\.0 via 169\.254\.1\.1: Network is"):
        apply(store, lab)


def test_the_thread_is_at_home_again_even_after_a_refusal(store: LocalStore) -> None:
    home = os.stat("/proc/thread-self/ns/net").st_ino  # noqa: PTH116 - a magic link

    with pytest.raises(KernelError):
        apply(store, frozenset({Netns(ns="n1"), Fdb(ns="n1", dev="lo", mac="02:00:00:00:00:01")}))

    assert os.stat("/proc/thread-self/ns/net").st_ino == home  # noqa: PTH116
