"""ipamD's own ports on a node: introspection on its loopback, metrics for everybody."""

import json

import pytest

from testbed.bed import Bed
from tests.routing.cni.conftest import cni_lab

pytestmark = pytest.mark.kernel

ENIS, METRICS = "http://localhost:61679/v1/enis", "http://10.10.0.10:61678/metrics"
REFUSED = 7  # curl: nobody listens


def curl(bed: Bed, place: str, url: str) -> tuple[int, str]:
    done = bed.run(place, "curl", "-sm", "2", url)
    return done.returncode, done.stdout


def test_a_node_is_told_what_its_ipamd_has(bed: Bed) -> None:
    bed.up(cni_lab())

    code, text = curl(bed, "node-1", ENIS)

    assert code == 0
    of_eth1 = [eni for eni in json.loads(text)["0"]["ENIs"].values() if eni["DeviceNumber"] == 1]
    [address] = [
        ip for cidr in of_eth1[0]["AvailableIPv4Cidrs"].values() for ip in cidr["IPAddresses"]
    ]
    assert address == str(bed.pod("pod-2").ip)
    assert curl(bed, "pod-1", ENIS)[0] == REFUSED, "the loopback is the node's alone"
    code, text = curl(bed, "pod-3", METRICS)
    assert (code, "awscni_eni_allocated 2" in text) == (0, True), "of another node's pod"


def test_both_can_be_switched_off_and_introspection_moved(bed: Bed) -> None:
    bed.up(cni_lab(DISABLE_INTROSPECTION="true", DISABLE_METRICS="true"))

    assert curl(bed, "node-1", ENIS)[0] == REFUSED
    assert curl(bed, "node-1", METRICS)[0] == REFUSED

    bed.up(cni_lab(INTROSPECTION_BIND_ADDRESS="127.0.0.2:8080"))
    assert curl(bed, "node-1", ENIS)[0] == REFUSED
    assert curl(bed, "node-1", "http://127.0.0.2:8080/v1/enis")[0] == 0
