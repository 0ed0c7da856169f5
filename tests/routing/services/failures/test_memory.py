"""UDP clients that keep their port keep a connection that leads nowhere; `explain` says so.

The client and far are on node nb, web-0 is on na.  k/k: kubernetes/kubernetes.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.bed import Bed
from testbed.kubernetes.model import Service, ServicePort
from testbed.net.facts import Chain
from testbed.probes.sockets import socket_in
from tests.routing.cni.breaking import dies, instead, works
from tests.routing.cni.conftest import Explain
from tests.routing.services.promises import bed as bed
from tests.routing.services.promises import changed, cluster, today
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

PORT, ECHO = 12345, "172.20.0.110"  # the client keeps the port
UDP = Service(
    "echo",
    {"app": "a"},
    (ServicePort(7, node_port=30007, protocol="UDP"),),
    type="NodePort",
    cluster_ip=IPv4Address(ECHO),
)


@contextmanager
def serving(bed: Bed, endpoint: str, without: str = "") -> Iterator[None]:
    """The lab whose Service has this pod as its only endpoint, and where one is gone."""
    before = bed.lab
    pods = tuple(
        replace(pod, labels={"app": "a"} if pod.name == endpoint else {})
        for pod in cluster(bed).pods
        if pod.name != without
    )
    bed.up(changed(bed, pods=pods, services=(UDP,)))
    try:
        yield
    finally:
        bed.up(before)


def echoed(bed: Bed) -> str:
    """The pod that answered a datagram from the client's port."""
    with socket_in(bed.store, "client", kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.bind(("", PORT))
        client.connect((ECHO, 7))
        client.send(b"who")
        return client.recv(4096).decode().split('"pod": "')[1].split('"')[0]


def forget(bed: Bed) -> None:
    """As the advice says."""
    command = f"conntrack -D -p udp --orig-port-src {PORT}"
    assert bed.run("nb", *command.split()).returncode == 0


def test_a_client_keeps_an_endpoint_that_is_none_any_more(bed: Bed, explain: Explain) -> None:
    """k/k#48370, #66651: 1.14 forgets the ClusterIP's entries where there is a node port; today
    they are deleted."""
    with serving(bed, "web-0"):
        assert echoed(bed) == "web-0"
        with serving(bed, "far"):
            assert echoed(bed) == ("far" if today(bed) else "web-0")
            same = explain("client", ECHO, 7, "udp", source_port=PORT)
            new = explain("client", ECHO, 7, "udp")
            assert works(new)
            assert works(same), "somebody answers"
            assert new.observed.there.end.ns == "far"
            found = same.observed.there.end
            stale = "web-0", "X_STALE_CONNECTION"
            assert (found.ns, found.code) == (("far", "") if today(bed) else stale)


def test_a_client_keeps_a_pod_that_is_gone(bed: Bed, explain: Explain) -> None:
    """The same when the pod itself is deleted: it calls an address that nobody has."""
    with serving(bed, "web-0"):
        assert echoed(bed) == "web-0"
        with serving(bed, "far", without="web-0"):
            same = explain("client", ECHO, 7, "udp", source_port=PORT)
            if today(bed):
                assert works(same)
                return
            assert dies(same, "na", "X_STALE_CONNECTION")
            assert works(explain("client", ECHO, 7, "udp")), "control: from another port"
            forget(bed)
            assert works(explain("client", ECHO, 7, "udp", source_port=PORT))


def test_a_datagram_before_the_rules_makes_an_entry_that_stays(bed: Bed, explain: Explain) -> None:
    """k/k#48719: it leads to the ClusterIP itself.  kube-proxy deletes it; here it did not get so
    far."""
    with serving(bed, "far"):
        rules = bed.fact(Chain, ns="nb", table="nat", name="KUBE-SERVICES")
        with instead(bed, rules, replace(rules, rules=())):
            early = explain("client", ECHO, 7, "udp", source_port=PORT)
            assert dies(early, "igw-main", "X_NO_SERVICE_RULE")

        late = explain("client", ECHO, 7, "udp", source_port=PORT)
        assert dies(late, "igw-main", "X_STALE_CONNECTION")
        assert f"nb remembers a connection from {bed.address('client')}" in late.end.text
        assert works(explain("client", ECHO, 7, "udp")), "control: from another port"
        forget(bed)
        assert works(explain("client", ECHO, 7, "udp", source_port=PORT))
