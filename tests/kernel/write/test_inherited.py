"""IPv6 sysctls of many new devices: written by few writes, and only to those they are for."""

from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from testbed.errors import KernelError
from testbed.kernel import sysctl
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.read.observe import observe
from testbed.kernel.write.apply import apply
from testbed.kernel.write.inherited import shared
from testbed.net.drift.diff import Drift
from testbed.net.facts import Address, Fact, Netns, State, Sysctl, Veth
from tests.kernel.write.small_lab import change, drift, inside

DEFAULT = "net.ipv6.conf.default.accept_ra"


def pair(number: int, *, mtu: int = 9001) -> frozenset[Fact]:
    """A pod's link to the node."""
    pod, veth = f"pod-{number}", f"eni{number}"
    inner, outer = f"02:00:00:00:01:{number:02}", f"02:00:00:00:02:{number:02}"
    return frozenset(
        {
            Netns(ns=pod),
            Veth(ns=pod, name="eth0", peer_ns="n1", peer=veth, mac=inner, mtu=mtu),
            Veth(ns="n1", name=veth, peer_ns=pod, peer="eth0", mac=outer, mtu=mtu),
        }
    )


def accept_ra(*devices: str, value: str = "0") -> frozenset[Sysctl]:
    return frozenset(
        Sysctl(ns="n1", name=f"net.ipv6.conf.{dev}.accept_ra", value=value) for dev in devices
    )


PODS = ("eni1", "eni2", "eni3", "eni4", "eni5")
LAB: State = (
    frozenset({Netns(ns="n1")}).union(*(pair(number) for number in range(1, 7)))
    | accept_ra(*PODS)  # of eni6 nothing is said
)


def value(store: LocalStore, name: str) -> str | None:
    return inside(store, "n1", lambda: sysctl.read(name))


# which values are worth it; pure


def test_a_value_for_most_of_the_new_devices_is_given_by_the_default() -> None:
    [one] = shared(accept_ra(*PODS), [*PODS, "eth0"])

    assert (one.default, one.value) == (DEFAULT, "0")
    assert one.facts == accept_ra(*PODS)
    assert one.others == ("net.ipv6.conf.eth0.accept_ra",)


def test_the_value_that_most_of_them_want_is_chosen() -> None:
    [one] = shared(accept_ra(*PODS) | accept_ra("eth0", value="2"), [*PODS, "eth0"])

    assert one.facts == accept_ra(*PODS)
    assert one.others == (), "eth0 gets its own value anyway"


@pytest.mark.parametrize(
    ("wanting", "new"),
    [
        ((), PODS),
        (("eni1",), ("eni1",)),
        (("eni1", "eni2"), ("eni1", "eni2")),  # the default and its old value are two writes too
        (("eni1", "eni2", "eni3"), ("eni1", "eni2", "eni3", "eth0")),
        (PODS, ("eth0",)),  # the pods' links are there already
    ],
)
def test_where_no_write_is_saved_the_default_is_left_alone(
    wanting: tuple[str, ...], new: tuple[str, ...]
) -> None:
    assert list(shared(accept_ra(*wanting), new)) == []


# in the kernel


@pytest.mark.kernel
def test_devices_come_with_their_values_and_others_with_the_kernel_s(store: LocalStore) -> None:
    apply(store, frozenset({Netns(ns="n1")}))
    before = value(store, DEFAULT)
    assert before == "1", "premise: the value that is wanted is not the kernel's"

    apply(store, LAB, observe(store))

    assert {value(store, f"net.ipv6.conf.{dev}.accept_ra") for dev in PODS} == {"0"}
    assert value(store, "net.ipv6.conf.eni6.accept_ra") == "1"
    assert value(store, DEFAULT) == "1"
    assert drift(store, LAB) == Drift()


@pytest.mark.kernel
def test_a_value_that_somebody_changed_is_drift_and_is_healed(store: LocalStore) -> None:
    apply(store, LAB)
    inside(store, "n1", lambda: sysctl.write("net.ipv6.conf.eni2.accept_ra", "2"))

    [(found, wanted)] = drift(store, LAB).changed
    change(store, LAB)

    assert (found, wanted) == (*accept_ra("eni2", value="2"), *accept_ra("eni2"))
    assert value(store, "net.ipv6.conf.eni2.accept_ra") == "0"


@pytest.mark.kernel
def test_the_default_is_put_back_after_a_refusal(store: LocalStore) -> None:
    lost = Address(ns="n1", dev="eth9", ip=IPv4Interface("10.0.1.5/32"))

    with pytest.raises(KernelError, match="there is no 'eth9'"):
        apply(store, LAB | {lost})

    assert value(store, DEFAULT) == "1"


@pytest.mark.kernel
def test_a_device_too_small_for_ipv6_has_no_such_sysctl_and_no_drift(store: LocalStore) -> None:
    """RFC 8200, 5: IPv6 needs links of 1280 bytes.  aws-cni ignores "no such file" too."""
    small = frozenset({Netns(ns="n1")}) | pair(1, mtu=1000) | accept_ra("eni1")

    apply(store, small)

    assert value(store, "net.ipv6.conf.eni1.accept_ra") is None, "premise"
    assert drift(store, small) == Drift()


@pytest.mark.kernel
def test_a_sysctl_that_ipv6_does_not_know_is_refused(store: LocalStore) -> None:
    unknown = Sysctl(ns="n1", name="net.ipv6.conf.eni1.accept_no", value="0")

    with pytest.raises(KernelError, match=r"n1: sysctl net\.ipv6.*accept_no = 0: No such file"):
        apply(store, LAB | {unknown})


def test_on_a_machine_without_ipv6_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysctl, "PROC_SYS", tmp_path)

    sysctl.write("net.ipv6.conf.eni1.accept_ra", "0")

    assert list(tmp_path.iterdir()) == []
