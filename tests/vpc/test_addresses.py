"""A subnet's addresses: what is reserved, and the order of the rest."""

from ipaddress import IPv4Address, IPv4Network

from testbed.vpc.addresses import AddressPool, free_addresses, reserved


def test_aws_keeps_the_first_four_addresses_and_the_last():
    assert reserved(IPv4Network("10.0.1.0/28")) == {
        IPv4Address("10.0.1.0"),
        IPv4Address("10.0.1.1"),
        IPv4Address("10.0.1.2"),
        IPv4Address("10.0.1.3"),
        IPv4Address("10.0.1.15"),
    }


def test_a_28_has_eleven_addresses_and_a_24_has_251():
    assert free_addresses(IPv4Network("10.0.1.0/28")) == 11
    assert free_addresses(IPv4Network("10.0.1.0/24")) == 251


def test_the_lowest_free_addresses_come_first():
    pool = AddressPool(IPv4Network("10.0.1.0/28"))
    pool.take(IPv4Address("10.0.1.5"))

    assert pool.take_lowest(2) == (IPv4Address("10.0.1.4"), IPv4Address("10.0.1.6"))


def test_a_released_address_is_the_next_one():
    pool = AddressPool(IPv4Network("10.0.1.0/28"))
    pool.take_lowest(5)
    pool.release(IPv4Address("10.0.1.6"))

    assert pool.take_lowest(2) == (IPv4Address("10.0.1.6"), IPv4Address("10.0.1.9"))


def test_a_pool_gives_all_its_addresses_and_then_none():
    pool = AddressPool(IPv4Network("10.0.1.0/28"))

    given = pool.take_lowest(11)

    assert given[-1] == IPv4Address("10.0.1.14")
    assert pool.free == 0
    assert pool.take_lowest(1) == ()


def test_a_16_is_handed_out_one_by_one_without_being_searched_each_time():
    """Quadratic work would be two thousand million steps here."""
    pool = AddressPool(IPv4Network("10.0.0.0/16"))

    for _ in range(65_531):
        pool.take_lowest(1)

    assert pool.free == 0
    assert pool.holds(IPv4Address("10.0.255.254"))
