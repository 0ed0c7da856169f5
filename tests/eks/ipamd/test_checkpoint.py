"""ipamD's checkpoint, text and recovery, as v1.23.1 writes and reads it."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.eks.ipamd.datastore.checkpoint import Entry, Recovery, read, recovered, written
from testbed.errors import CheckFailed

POD_2 = Entry("c2", IPv4Address("10.10.0.102"), 1764378000000000000, "default", "pod-2")
OLD = Entry("c0", IPv4Address("10.10.0.103"), 1, network="_migrated-from-cri", link="unknown")
TEXT = (
    '{"version":"vpc-cni-ipam/1","allocations":[{"networkName":"aws-cni","containerID":"c2",'
    '"ifName":"eth0","ipv4":"10.10.0.102","allocationTimestamp":1764378000000000000,'
    '"metadata":{"k8sPodNamespace":"default","k8sPodName":"pod-2","interfacesCount":1}}]}\n'
)
CIDRS = [IPv4Network("10.10.0.101"), IPv4Network("10.10.0.102"), IPv4Network("10.10.0.96/28")]
LINKS = ["eth0", "enifbd243bfedd"]  # pod-2's; a prefix does not matter


def test_it_is_written_as_go_writes_it() -> None:
    assert written([POD_2]) == TEXT
    assert written([]) == '{"version":"vpc-cni-ipam/1","allocations":[]}\n'


def test_what_was_written_is_read() -> None:
    """Entries that came from the container runtime have no pod: v1.7."""
    assert read(TEXT) == (POD_2,)
    assert read(written([POD_2, OLD])) == (POD_2, OLD)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("ipam/1", "ipam/2"), "unexpected checkpointVersion: vpc-cni-ipam/2/vpc-cni"),
        ("{}", "unexpected checkpointVersion: /vpc-cni-ipam/1"),
        ("", "failed ipam state recovery from backing store"),
        ("[]", "failed ipam state recovery from backing store"),
        (TEXT.replace("10.10.0.102", "10.10.0"), "failed ipam state recovery from backing store"),
        (TEXT.replace('"ipv4":"10.10.0.102",', ""), "from backing store"),
        (TEXT.replace("1764378000000000000", "1e999"), "from backing store"),
        (TEXT.replace('[{"net', '[5,{"net'), "from backing store"),
        ("[" * 100_000, "from backing store"),
    ],
)
def test_with_another_file_it_does_not_start(text: str, message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        read(text)


def test_an_entry_stays_while_its_pod_has_a_link() -> None:
    other = Entry("c1", IPv4Address("10.10.0.101"), 1, "default", "pod-1")

    assert recovered([other, POD_2], CIDRS, LINKS) == Recovery(kept=(POD_2,), stale=(other,))
    assert recovered([POD_2], CIDRS, ["podfbd243bfedd"]).kept == (POD_2,)


def test_an_entry_without_a_pod_stays_and_an_address_of_no_eni_goes() -> None:
    assert recovered([OLD, POD_2], CIDRS, LINKS) == Recovery(kept=(OLD, POD_2))
    assert recovered([OLD], CIDRS[:2], LINKS) == Recovery(unknown=(OLD,))


def test_an_address_that_is_there_twice_keeps_it_from_starting() -> None:
    with pytest.raises(CheckFailed, match="datastore: IP already in data store"):
        recovered([POD_2, POD_2], CIDRS, LINKS)
