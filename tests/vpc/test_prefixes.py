"""EC2's prefixes: aligned, whole, in the place of one address; and an ENI's zone."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.errors import AwsError
from testbed.vpc.ec2 import Ec2
from testbed.vpc.eni import InterfaceSpecification
from testbed.vpc.model import Internet, Subnet, Vpc

SUBNETS = (
    Subnet("a", IPv4Network("10.0.1.0/24"), "us-west-2a"),
    Subnet("tiny", IPv4Network("10.0.2.0/27"), "us-west-2a"),
    Subnet("far", IPv4Network("10.0.3.0/24"), "us-west-2b"),
)
VPC = Vpc("main", (IPv4Network("10.0.0.0/16"),), SUBNETS)
FULL = "InsufficientCidrBlocks"


@pytest.fixture
def ec2() -> Ec2:
    """EC2 with a t3.small n1 and an m5.large n2."""
    return Ec2([VPC], Internet(), instance_types={"n1": "t3.small", "n2": "m5.large"})


@pytest.fixture
def eni(ec2: Ec2) -> Callable[..., str]:
    """`eni(instance, subnet, index, …)`: a new ENI's id."""

    def made(
        instance: str = "n1",
        subnet: str = "a",
        index: int = 0,
        secondary_count: int = 0,
        prefix_count: int = 0,
    ) -> str:
        wanted = InterfaceSpecification(
            vpc="main",
            subnet=subnet,
            instance=instance,
            device_index=index,
            secondary_count=secondary_count,
            prefix_count=prefix_count,
        )
        return ec2.create_network_interface(wanted).id

    return made


def prefixes(ec2: Ec2) -> list[str]:
    return [str(prefix) for eni in ec2.enis() for prefix in eni.prefixes]


def test_a_prefix_is_the_lowest_aligned_block_that_is_free(
    ec2: Ec2, eni: Callable[..., str]
) -> None:
    """The first block of a subnet never is: AWS keeps four of its addresses."""
    first = eni()

    assert ec2.assign_ipv4_prefixes(first, 2) == (
        IPv4Network("10.0.1.16/28"),
        IPv4Network("10.0.1.32/28"),
    )
    assert ec2.free_addresses("main", "a") == 251 - 1 - 32


def test_one_address_in_use_spoils_a_block(ec2: Ec2, eni: Callable[..., str]) -> None:
    first = eni()
    ec2.assign_private_ip_addresses(first, [IPv4Address("10.0.1.20")])

    assert ec2.assign_ipv4_prefixes(first, 1) == (IPv4Network("10.0.1.32/28"),)


def test_a_slash_24_has_fourteen_prefixes(ec2: Ec2, eni: Callable[..., str]) -> None:
    """Not sixteen: the last block has the subnet's last address, which AWS keeps too."""
    for index, count in enumerate([9, 5]):
        ec2.assign_ipv4_prefixes(eni("n2", index=index), count)

    with pytest.raises(AwsError, match=FULL):
        ec2.assign_ipv4_prefixes(eni("n2", index=2), 1)
    assert len(prefixes(ec2)) == 14


def test_no_prefix_is_given_where_fewer_than_wanted_are_free(
    ec2: Ec2, eni: Callable[..., str]
) -> None:
    """A /27 has 27 free addresses and no aligned block: both have reserved addresses."""
    with pytest.raises(AwsError, match=rf"enough free cidr blocks.*{FULL}"):
        ec2.assign_ipv4_prefixes(eni(subnet="tiny"), 1)
    assert ec2.free_addresses("main", "tiny") == 26


def test_a_prefix_takes_the_place_of_one_address(ec2: Ec2, eni: Callable[..., str]) -> None:
    first = eni(secondary_count=1, prefix_count=1)

    ec2.assign_ipv4_prefixes(first, 1)
    with pytest.raises(AwsError, match="PrivateIpAddressLimitExceeded"):
        ec2.assign_ipv4_prefixes(first, 1)
    with pytest.raises(AwsError, match="PrivateIpAddressLimitExceeded"):
        ec2.assign_private_ip_addresses(first, 1)


def test_all_its_addresses_are_the_eni_s_and_nobody_else_gets_them(
    ec2: Ec2, eni: Callable[..., str]
) -> None:
    first = eni(prefix_count=1)
    [made] = ec2.enis()

    assert made.delivered == (made.primary, *IPv4Network("10.0.1.16/28"))
    with pytest.raises(AwsError, match=r"\[10.0.1.17\] assigned, but move is not allowed"):
        ec2.assign_private_ip_addresses(eni(index=1), [IPv4Address("10.0.1.17")])
    ec2.delete_network_interface(eni(index=2, prefix_count=1))
    assert prefixes(ec2) == ["10.0.1.16/28"]
    ec2.unassign_ipv4_prefixes(first, [IPv4Network("10.0.1.16/28")])
    assert ec2.free_addresses("main", "a") == 251 - 2


def test_an_eni_that_cannot_have_all_is_not_made(ec2: Ec2, eni: Callable[..., str]) -> None:
    for wanted in ({"prefix_count": 1}, {"secondary_count": 1, "prefix_count": 2}):
        with pytest.raises(AwsError, match=FULL):
            eni(subnet="tiny", **wanted)

    assert ec2.enis() == ()
    assert ec2.free_addresses("main", "tiny") == 27


def test_only_what_an_eni_has_is_taken_back(ec2: Ec2, eni: Callable[..., str]) -> None:
    with pytest.raises(AwsError, match="Some of the specified addresses are not assigned"):
        ec2.unassign_ipv4_prefixes(eni(), [IPv4Network("10.0.1.16/28")])


def test_the_prefixes_of_an_earlier_run_are_kept(ec2: Ec2, eni: Callable[..., str]) -> None:
    eni(prefix_count=1)

    again = Ec2([VPC], Internet(), ec2.enis())

    assert again.enis() == ec2.enis()
    assert again.free_addresses("main", "a") == ec2.free_addresses("main", "a")


def test_an_eni_is_in_its_instance_s_zone_but_may_be_in_another_subnet(
    ec2: Ec2, eni: Callable[..., str]
) -> None:
    eni()
    eni(subnet="tiny", index=1)

    with pytest.raises(AwsError, match=r"us-west-2b.*InvalidParameterValue"):
        eni(subnet="far", index=2)
