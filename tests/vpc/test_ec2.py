"""EC2's answers: who gets which address, and what is refused with which code."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.errors import AwsError
from testbed.vpc.ec2 import Ec2
from testbed.vpc.eni import Eni, InterfaceSpecification
from testbed.vpc.fabric.eni import device, instance_side, port, vpc_side
from testbed.vpc.model import Internet, Subnet, Vpc

SMALL = Subnet("a", IPv4Network("10.0.1.0/28"), "eu-west-1a")  # 11 addresses: .4 to .14
VPC = Vpc("main", (IPv4Network("10.0.0.0/16"),), (SMALL,))


def ec2_of(*enis: Eni) -> Ec2:
    return Ec2([VPC], Internet(), enis, instance_types={"n1": "t3.small", "n2": "m5.large"})


def eni_of(
    ec2: Ec2,
    instance: str = "n1",
    *,
    device_index: int = 0,
    private_ip: IPv4Address | None = None,
    secondary_count: int = 0,
) -> Eni:
    wanted = InterfaceSpecification(
        vpc="main",
        subnet="a",
        instance=instance,
        device_index=device_index,
        private_ip=private_ip,
        secondary_count=secondary_count,
    )
    return ec2.create_network_interface(wanted)


def refused(code: str, message: str):
    return pytest.raises(AwsError, match=rf"{message}.*\({code}\)")


def test_an_eni_gets_the_lowest_addresses_that_are_not_reserved():
    eni = eni_of(ec2_of(), secondary_count=2)

    assert eni.primary == IPv4Address("10.0.1.4")
    assert eni.secondary == (IPv4Address("10.0.1.5"), IPv4Address("10.0.1.6"))


def test_ids_and_macs_stand_for_instance_and_index():
    """A lab that is brought up again has the same ENIs; real ids look alike."""
    first, again = eni_of(ec2_of()), eni_of(ec2_of())

    assert first == again
    assert first.id.startswith("eni-")
    assert len(first.id) == len("eni-") + 17
    assert first.mac.startswith("02:")


def test_the_enis_of_an_earlier_run_keep_their_addresses():
    kept = eni_of(ec2_of(), private_ip=IPv4Address("10.0.1.4"))

    ec2 = ec2_of(kept)

    assert ec2.attached("n1") == (kept,)
    assert eni_of(ec2, "n2").primary == IPv4Address("10.0.1.5")


def test_an_address_that_is_asked_for_is_given():
    assert eni_of(ec2_of(), private_ip=IPv4Address("10.0.1.9")).primary == IPv4Address("10.0.1.9")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.0.1.2", "Address 10.0.1.2 is in subnet's reserved address range"),
        ("10.0.1.15", "Address 10.0.1.15 is in subnet's reserved address range"),
        ("10.0.2.4", "Address 10.0.2.4 does not fall within the subnet's address range"),
    ],
)
def test_an_address_that_cannot_be_had_is_refused(address, message):
    with refused("InvalidParameterValue", message):
        eni_of(ec2_of(), private_ip=IPv4Address(address))


def test_an_address_in_use_is_refused_at_creation():
    ec2 = ec2_of()
    eni_of(ec2)

    with refused("InvalidIPAddress.InUse", "Address 10.0.1.4 is in use."):
        eni_of(ec2, "n2", private_ip=IPv4Address("10.0.1.4"))


def test_an_unknown_subnet_is_refused():
    with refused("InvalidSubnetID.NotFound", "The subnet ID 'b' does not exist"):
        ec2_of().free_addresses("main", "b")


def test_a_full_subnet_refuses_the_whole_request():
    """All or nothing: the addresses that were there stay free."""
    ec2 = ec2_of()
    eni = eni_of(ec2, "n2", secondary_count=7)

    with refused("InsufficientFreeAddressesInSubnet", "does not have enough free addresses"):
        eni_of(ec2, "n1", secondary_count=3)

    assert ec2.free_addresses("main", "a") == 3
    assert ec2.enis() == (eni,)


def test_secondary_addresses_come_and_go():
    ec2 = ec2_of()
    eni = eni_of(ec2)

    assert ec2.assign_private_ip_addresses(eni.id, 2) == (
        IPv4Address("10.0.1.5"),
        IPv4Address("10.0.1.6"),
    )
    ec2.unassign_private_ip_addresses(eni.id, [IPv4Address("10.0.1.5")])

    assert ec2.attached("n1")[0].secondary == (IPv4Address("10.0.1.6"),)
    assert ec2.assign_private_ip_addresses(eni.id, 1) == (IPv4Address("10.0.1.5"),)


def test_addresses_may_be_assigned_by_name():
    ec2 = ec2_of()
    eni = eni_of(ec2)

    given = ec2.assign_private_ip_addresses(eni.id, [IPv4Address("10.0.1.9")])

    assert given == (IPv4Address("10.0.1.9"),)


def test_an_address_of_another_eni_does_not_move_and_nothing_else_is_assigned():
    ec2 = ec2_of()
    eni = eni_of(ec2)
    eni_of(ec2, "n2")

    with refused("InvalidParameterValue", r"\[10.0.1.5\] assigned, but move is not allowed."):
        ec2.assign_private_ip_addresses(eni.id, map(IPv4Address, ["10.0.1.9", "10.0.1.5"]))

    assert ec2.attached("n1")[0].secondary == ()
    assert ec2.free_addresses("main", "a") == 9


@pytest.mark.parametrize("address", ["10.0.1.4", "10.0.1.9"])
def test_neither_a_primary_nor_a_foreign_address_can_be_unassigned(address):
    ec2 = ec2_of()
    eni = eni_of(ec2)

    with refused("InvalidParameterValue", f"not assigned to interface {eni.id}"):
        ec2.unassign_private_ip_addresses(eni.id, [IPv4Address(address)])


def test_an_eni_takes_no_more_addresses_than_its_instance_type_allows():
    ec2 = ec2_of()
    eni = eni_of(ec2, secondary_count=2)

    with refused("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit"):
        ec2.assign_private_ip_addresses(eni.id, 2)

    assert len(ec2.assign_private_ip_addresses(eni.id, 1)) == 1


def test_an_instance_takes_no_more_enis_than_its_type_allows():
    ec2 = ec2_of()
    for device_index in range(3):
        eni_of(ec2, device_index=device_index)

    with refused("AttachmentLimitExceeded", "Interface count 4 exceeds the limit for t3.small"):
        eni_of(ec2, device_index=3)


def test_a_device_index_is_used_once():
    ec2 = ec2_of()
    eni_of(ec2)

    with refused("InvalidParameterValue", "already has an interface attached at device index '0'"):
        eni_of(ec2)


def test_an_instance_of_no_known_type_has_no_limits():
    """A NAT gateway, say."""
    assert len(eni_of(ec2_of(), "nat-a", secondary_count=10).addresses) == 11


def test_a_deleted_eni_gives_all_its_addresses_back():
    ec2 = ec2_of()
    eni_of(ec2)
    second = eni_of(ec2, device_index=1, secondary_count=3)
    ec2.associate_address(second.id)

    ec2.delete_network_interface(second.id)

    assert ec2.free_addresses("main", "a") == 10
    assert ec2.associate_address(ec2.attached("n1")[0].id) == IPv4Address("192.0.2.4")


def test_the_primary_eni_cannot_be_deleted():
    ec2 = ec2_of()
    eni = eni_of(ec2)

    with refused("OperationNotPermitted", eni.id):
        ec2.delete_network_interface(eni.id)


def test_an_eni_that_is_not_there_is_named():
    with refused("InvalidNetworkInterfaceID.NotFound", "'eni-0' does not exist"):
        ec2_of().assign_private_ip_addresses("eni-0", 1)


def test_a_public_address_is_paired_once_and_given_back():
    ec2 = ec2_of()
    eni = eni_of(ec2)

    public_ip = ec2.associate_address(eni.id)

    assert ec2.associate_address(eni.id) == public_ip == IPv4Address("192.0.2.4")
    assert ec2.attached("n1")[0].public_ip == public_ip
    ec2.disassociate_address(eni.id)
    assert ec2.attached("n1")[0].public_ip is None


def test_public_addresses_run_out():
    ec2 = Ec2([VPC], Internet(public_cidr=IPv4Network("192.0.2.0/29")))
    for number in range(3):
        ec2.associate_address(eni_of(ec2, f"n{number}").id)

    with refused("AddressLimitExceeded", "maximum number of addresses"):
        ec2.associate_address(eni_of(ec2, "one-more").id)


def test_the_source_check_can_be_switched_off():
    ec2 = ec2_of()
    eni = eni_of(ec2)

    ec2.modify_source_dest_check(eni.id, enabled=False)

    assert eni.source_dest_check
    assert not ec2.attached("n1")[0].source_dest_check


def test_an_eni_is_a_veth_pair_whose_ends_name_each_other():
    eni = eni_of(ec2_of(), device_index=1)

    inside, outside = instance_side(eni, 9001), vpc_side(eni, 9001)

    assert (inside.ns, inside.name, inside.mac) == ("n1", "eth1", eni.mac)
    assert (outside.ns, outside.name) == ("vpc-main", "n1-e1")
    assert (inside.peer_ns, inside.peer) == (outside.ns, outside.name)
    assert (outside.peer_ns, outside.peer) == (inside.ns, inside.name)
    assert outside.mac != inside.mac
    assert (device(eni), port(eni)) == ("eth1", "n1-e1")


def test_a_port_s_name_fits_into_a_device_name():
    eni = eni_of(ec2_of(), "a-node-with-a-long-name")

    assert len(port(eni)) <= 15
