"""host-local hands out a node's addresses one after the other, and round."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.kops.ipam.host_local import (
    Store,
    files,
    full,
    gateway,
    next_address,
    usable,
    with_reserved,
)

RANGE = IPv4Network("100.96.1.0/24")
SMALL = IPv4Network("100.96.1.0/29")  # .1 is cbr0, .2 to .6 are for pods, .7 is broadcast


def after(last: str, *reserved: str, cidr: IPv4Network = SMALL) -> str | None:
    """The address a store gives next."""
    in_use = frozenset(IPv4Address(one) for one in reserved)
    address = next_address(Store(cidr, IPv4Address(last) if last else None, in_use))
    return str(address) if address else None


def test_the_first_pod_gets_the_address_after_the_gateway() -> None:
    assert str(gateway(RANGE)) == "100.96.1.1"
    assert after("", cidr=RANGE) == "100.96.1.2"


def test_a_seed_makes_the_slides_first_pod() -> None:
    """`last_reserved_ip.0` with .10 in it."""
    assert after("100.96.1.10", cidr=RANGE) == "100.96.1.11"


def test_pods_get_one_address_after_the_other() -> None:
    store = Store(SMALL)
    given = []
    while (address := next_address(store)) is not None:
        given.append(str(address))
        store = with_reserved(store, address)

    assert given == [f"100.96.1.{i}" for i in range(2, 7)]


def test_a_24_has_room_for_253_pods() -> None:
    """kubelet's limit of 110 comes first."""
    store = Store(RANGE)
    while (address := next_address(store)) is not None:
        store = with_reserved(store, address)

    assert len(store.reserved) == 253


def test_a_freed_address_comes_again_only_after_a_full_round() -> None:
    """.2 was freed; .5 and .6 come first."""
    assert after("100.96.1.4", "100.96.1.3", "100.96.1.4") == "100.96.1.5"
    assert after("100.96.1.6", "100.96.1.3", "100.96.1.4") == "100.96.1.2"


def test_taken_addresses_are_passed_over() -> None:
    assert after("100.96.1.2", "100.96.1.3", "100.96.1.4") == "100.96.1.5"
    assert after("100.96.1.5", "100.96.1.6", "100.96.1.2") == "100.96.1.3"


@pytest.mark.parametrize("outside", ["100.96.2.9", "100.96.0.255", "100.96.1.0", "100.96.1.7"])
def test_a_last_address_that_is_none_of_the_range_is_as_good_as_none(outside: str) -> None:
    """Also the network's own address and the broadcast one."""
    assert after(outside) == "100.96.1.2"


def test_a_last_address_that_is_the_gateways_is_followed_by_the_first_pods() -> None:
    assert after("100.96.1.1") == "100.96.1.2"


def test_a_full_range_is_told_in_the_plugins_words() -> None:
    everything = [f"100.96.1.{i}" for i in range(2, 7)]

    assert after("100.96.1.3", *everything) is None
    assert full(SMALL) == "no IP addresses available in range set: 100.96.1.1-100.96.1.6"


def test_pods_never_have_the_first_second_and_last_address() -> None:
    assert [str(ip) for ip in SMALL if usable(SMALL, ip)] == [f"100.96.1.{i}" for i in range(2, 7)]
    assert not usable(SMALL, IPv4Address("100.96.1.8"))


def test_the_files_are_the_plugins() -> None:
    """One for each address, with the id of the container that holds it (v0.7.5)."""
    address = IPv4Address("100.96.1.2")
    used = with_reserved(Store(SMALL), address)

    assert files(used, {address: "4f1b"}) == {
        "100.96.1.2": "4f1b",
        "last_reserved_ip.0": "100.96.1.2",
        "lock": "",
    }
    assert files(Store(SMALL), {}) == {"lock": ""}, "before the first pod"
