"""A node of ours is what the reference plugins leave that kubenet calls: loopback, bridge and
host-local, with the configuration kubenet gives them.

Source: kubernetes v1.14.6, pkg/kubelet/dockershim/network/kubenet/kubenet_linux.go.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.daemon.changes import host_local
from testbed.kernel.namespaces.store import Descriptors, LocalStore
from testbed.kernel.read.observe import observe
from testbed.kops.model import KopsCluster
from testbed.load import load
from testbed.net.facts import Address, Bridge, BridgePort, Fact, Route, State, Sysctl, Veth

pytestmark = pytest.mark.kernel

NODE = "node-1"
LOOPBACK = {"cniVersion": "0.1.0", "name": "kubenet-loopback", "type": "loopback"}
SYSCTLS = ("net.ipv4.ip_forward",)

Plugin = Callable[..., Any]


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    """The lab of `topologies/kops.yaml`, up."""
    with bring_up(load(topologies / "kops.yaml")) as lab:
        yield lab


def kubenet(cidr: IPv4Network, directory: Path, *, hairpin: bool) -> dict[str, Any]:
    """kubenet's NET_CONFIG_TEMPLATE."""
    return {
        "cniVersion": "0.1.0",
        "name": "kubenet",
        "type": "bridge",
        "bridge": "cbr0",
        "mtu": 9001,
        "addIf": "eth0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": hairpin,
        "ipam": {
            "type": "host-local",
            "subnet": str(cidr),
            "gateway": str(cidr[1]),
            "dataDir": str(directory),
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }


def pods_of(bed: Bed) -> list[str]:
    """The pods behind the node's bridge, in the order in which they got their addresses."""
    here = [at for at in bed.allocations.pods if at.node == NODE and not at.host_network]
    return [at.pod for at in sorted(here, key=lambda at: at.ip)]


def found(store: LocalStore, pods: list[str]) -> State:
    """What is on the node for its pods, and in them; names and MACs that are drawn at random
    are put in order, by the pod at the other end."""
    sysctls = [Sysctl(ns=NODE, name=name, value="") for name in SYSCTLS]
    read = observe(store, [NODE, *pods], sysctls).state
    ends = {one.name: one.peer_ns for one in read if isinstance(one, Veth) and one.ns == NODE}
    return frozenset(_named(one, ends) for one in read if _of_pods(one, ends, pods))


def _of_pods(fact: Fact, ends: dict[str, str], pods: list[str]) -> bool:
    match fact:
        case Sysctl():
            return True
        case Bridge(name=dev) | Address(dev=dev) | Route(dev=dev) | BridgePort(dev=dev):
            return fact.ns in pods or dev == "cbr0" or ends.get(dev, "") in pods
        case Veth(name=name):
            return fact.ns in pods or ends.get(name, "") in pods
    return fact.ns in pods


def _named(fact: Fact, ends: dict[str, str]) -> Fact:
    match fact:
        case Bridge():
            return replace(fact, mac="")
        case Veth() if fact.ns == NODE:
            assert re.fullmatch("veth[0-9a-f]{8}", fact.name)
            return replace(fact, name=f"veth of {ends[fact.name]}", mac="")
        case Veth():
            return replace(fact, peer=f"veth of {fact.ns}", mac="")
        case BridgePort(dev=dev) | Address(dev=dev) | Route(dev=dev) if (
            fact.ns == NODE and dev in ends
        ):
            return replace(fact, dev=f"veth of {ends[dev]}")
    return fact


def test_links_addresses_and_routes_are_the_plugins(
    bed: Bed, plugin: Plugin, tmp_path: Path
) -> None:
    """Each fact of cbr0, of its ports and of the pods, read from the kernel here and there."""
    pods = pods_of(bed)
    assert len(pods) > 1, "premise: two ports of a bridge"
    [cidr] = [own.cidr for own in bed.allocations.ranges if own.node == NODE]

    with LocalStore() as store:
        with Descriptors(store) as made:
            made.create([NODE, *pods])
        for pod in pods:
            plugin(store, NODE, pod, LOOPBACK, dev="lo")
            answer = plugin(store, NODE, pod, kubenet(cidr, tmp_path, hairpin=True))
            assert answer["ip4"]["ip"] == f"{bed.pod(pod).ip}/24", "host-local gives the same one"
        theirs = found(store, pods)

    assert found(bed.store, pods) == theirs


def test_host_local_goes_on_from_the_files_of_a_node(
    bed: Bed, plugin: Plugin, tmp_path: Path
) -> None:
    """It gives the address that our next pod would get, and gives back what our pods hold."""
    [own] = [own for own in bed.allocations.ranges if own.node == NODE]
    host_local.write(tmp_path, bed.lab, bed.allocations)
    files = tmp_path / NODE / "kubenet"
    first, *rest = pods_of(bed)
    conf = kubenet(own.cidr, tmp_path / NODE, hairpin=True) | {"type": "host-local"}
    holder = (files / str(bed.pod(first).ip)).read_text()

    answer = plugin(bed.store, NODE, first, conf, container="another")
    plugin(bed.store, NODE, first, conf, command="DEL", container=holder)

    assert own.last_reserved_ip is not None
    following = own.last_reserved_ip + 1
    assert answer["ip4"]["ip"] == f"{following}/{own.cidr.prefixlen}"
    assert {file.name for file in files.iterdir()} == {
        "last_reserved_ip.0",
        "lock",
        str(following),
        *(str(bed.pod(pod).ip) for pod in rest),
    }
    assert (files / "last_reserved_ip.0").read_text() == str(following)

    host_local.write(tmp_path, bed.lab, bed.allocations)
    assert (files / str(bed.pod(first).ip)).read_text() == holder, "`up` heals"
    assert not (files / str(following)).exists()


def test_todays_nodes_are_what_ptp_leaves(bed: Bed, plugin: Plugin, tmp_path: Path) -> None:
    """kops' template for containerd: /etc/containerd/config-cni.template."""
    [cluster] = bed.lab.clusters
    assert isinstance(cluster, KopsCluster)
    before = bed.lab
    bed.up(replace(before, clusters=(replace(cluster, cni="ptp"),)))
    try:
        pods = pods_of(bed)
        [cidr] = [own.cidr for own in bed.allocations.ranges if own.node == NODE]
        ipam = kubenet(cidr, tmp_path, hairpin=False)["ipam"]
        conf = {"cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "ptp", "ipam": ipam}

        with LocalStore() as store:
            with Descriptors(store) as made:
                made.create([NODE, *pods])
            for pod in pods:
                plugin(store, NODE, pod, LOOPBACK, dev="lo")
                plugin(store, NODE, pod, conf)
            theirs = found(store, pods)

        assert found(bed.store, pods) == theirs
        assert not bed.drift()
        for protocol in ("icmp", "tcp", "http"):
            assert bed.matrix(protocol).failed == ()
        assert "ttl=63" in bed.run(pods[0], "ping", "-c1", str(bed.pod(pods[1]).ip)).stdout
        assert bed.http(pods[0], "203.0.113.10").delivered, "with its node's address"
        host_local.write(tmp_path / "disk", bed.lab, bed.allocations)
        held = tmp_path / "disk" / NODE / "k8s-pod-network" / str(bed.pod(pods[0]).ip)
        assert held.read_bytes().endswith(b"\r\neth0")
    finally:
        bed.up(before)
