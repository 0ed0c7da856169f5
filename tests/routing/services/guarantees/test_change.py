"""What Kubernetes promises of Services that change, and of rules that somebody deletes."""

import re
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.daemon.syncing import sync
from testbed.errors import DescriptionError
from testbed.kubernetes.model import HEADLESS, OTHER_PROXY, Service, ServicePort
from testbed.lab.checks import check
from tests.routing.services.promises import (
    ALL,
    CLUSTER_IP,
    IP,
    NODE_PORT,
    changed,
    cluster,
    everyone,
    health,
    serve,
    today,
    who,
)
from tests.routing.services.promises import bed as bed
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

CHAIN = re.compile(r"^:(KUBE-\S+)", re.MULTILINE)


def flush(bed: Bed, node: str) -> None:
    """Every chain of Kubernetes' on a node is emptied, kubelet's too."""
    for table in ("mangle", "nat", "filter"):
        saved = bed.run(node, "iptables-nft-save", "-t", table).stdout
        for chain in CHAIN.findall(saved):
            assert bed.run(node, "iptables-nft", "-t", table, "-F", chain).returncode == 0


def test_a_service_that_is_made_again_works_again(bed: Bed) -> None:
    """G14: should work after the service has been recreated."""
    serve(bed)
    bed.up(changed(bed, services=()))
    assert who(bed.briefly, "client") == "timeout"

    serve(bed)

    assert everyone(bed, "client") == ALL
    assert not bed.drift()


def test_rules_that_somebody_deletes_come_back(bed: Bed) -> None:
    """G14, G15: by the next sync, or kube-proxy's start; nothing of others' is touched."""
    serve(bed)
    saved = bed.run("nb", "iptables-nft-save").stdout
    others = "FORWARD -s 192.0.2.99/32 -j DROP"
    bed.run("nb", "iptables-nft", "-A", *others.split())

    flush(bed, "nb")
    bed.run("nb", "iptables-nft", "-t", "nat", "-F", "PREROUTING")
    assert who(bed.briefly, "client") == "timeout"
    # in 1.14 there still is the socket with which kube-proxy keeps the port for itself
    asking, left = (bed, "refused") if today(bed) else (bed.briefly, "timeout")
    assert who(asking, "outside", "10.0.2.11", NODE_PORT) == left
    assert who(bed, "web-0") in ALL, "control: the other node"
    sync(bed.store, bed.state, ["nb"])

    assert everyone(bed, "client") == ALL
    assert who(bed, "outside", "10.0.2.11", NODE_PORT) in ALL, "kubelet's KUBE-MARK-MASQ too"
    assert f"-A {others}" in bed.run("nb", "iptables-nft-save").stdout
    bed.run("nb", "iptables-nft", "-D", *others.split())
    flush(bed, "nb")
    bed.up(bed.lab)
    assert sorted(CHAIN.findall(bed.run("nb", "iptables-nft-save").stdout)) == sorted(
        CHAIN.findall(saved)
    )
    assert not bed.drift()


def test_node_ports_belong_to_one_service_and_are_free_again_without_it(bed: Bed) -> None:
    """G20: collisions, numbers out of the range, release."""
    serve(bed)
    web = cluster(bed).services[0]
    other = Service("other", {"app": "client"}, web.ports, type="NodePort")
    low = replace(other, ports=(ServicePort(80, node_port=29999),))

    for wrong in (other, low):
        with pytest.raises(DescriptionError, match="provided port is"):
            check(changed(bed, services=(web, wrong)))
    bed.up(changed(bed, services=(other,)))

    assert who(bed, "outside", "10.0.1.11", NODE_PORT) == "client"
    assert who(bed.briefly, "client") == "timeout", "the first one is gone"


def test_a_service_of_another_proxy_has_no_rules(bed: Bed) -> None:
    """G23: two labels; 1.14 knows the first one only, for it looks at Endpoints."""
    for label in (OTHER_PROXY, HEADLESS):
        serve(bed, labels={label: ""})
        ignored = today(bed) or label == OTHER_PROXY
        assert who(bed.briefly, "client") == "timeout" if ignored else who(bed, "client") in ALL
        saved = bed.run("nb", "iptables-nft-save").stdout
        assert ("default/web" in saved) == (not ignored)

        serve(bed)
        assert who(bed, "client") in ALL


def test_health_fails_while_the_last_endpoints_end_and_still_serve(bed: Bed) -> None:
    """G31: the load balancer takes the node out before its pods are gone; 1.14 drops at once."""
    pods = cluster(bed).pods
    local = {"type": "LoadBalancer", "external_traffic_policy": "Local"}
    serve(bed, **local, health_check_node_port=30999)
    assert health(bed, "10.0.2.11") == (200, 1)

    ending = tuple(replace(pod, terminating=pod.name == "far") for pod in pods)
    bed.up(changed(bed, pods=ending))

    wait_until(lambda: health(bed, "10.0.2.11") == (503, 0))
    asking, expected = (bed, "far") if today(bed) else (bed.briefly, "timeout")
    assert who(asking, "outside", "10.0.2.11", NODE_PORT) == expected
    bed.up(changed(bed, pods=pods))


def test_ports_come_and_go(bed: Bed) -> None:
    """G36: be updated after adding or deleting ports."""
    first, second = ServicePort(80, name="a"), ServicePort(90, target_port=80, name="b")

    serve(bed, type="ClusterIP", ports=(first,))
    assert who(bed.briefly, "client", IP, 90) == "timeout"
    serve(bed, type="ClusterIP", ports=(first, second))
    assert {who(bed, "client", IP, port) for port in (80, 90)} <= ALL
    serve(bed, type="ClusterIP", ports=(second,))
    assert who(bed.briefly, "client", IP, 80) == "timeout"
    assert who(bed, "client", IP, 90) in ALL
    assert bed.allocations.services[0].cluster_ip == CLUSTER_IP
    assert not bed.drift()
