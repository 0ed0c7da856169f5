"""UDP clients that keep their port keep a connection that leads nowhere; `explain` says so.

k/k: kubernetes/kubernetes.
"""

import socket
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.bed import Bed
from testbed.kubernetes.model import Pod, Service, ServicePort
from testbed.net.facts import Chain
from testbed.probes.sockets import socket_in
from tests.routing.cni.breaking import dies, works
from tests.routing.cni.conftest import Explain
from tests.routing.services.test_failure_modes import becomes, today
from tests.routing.services.test_failure_modes import bed as bed

pytestmark = pytest.mark.kernel

PORT, ECHO = 12345, "100.64.0.110"  # a client keeps the port
UDP = Service(
    "echo",
    {"app": "a"},
    (ServicePort(7, node_port=30007, protocol="UDP"),),
    type="NodePort",
    cluster_ip=IPv4Address(ECHO),
)


def only(bed: Bed, endpoint: str, without: str = "") -> tuple[Pod, ...]:
    """The pods, of which this one is the Service's only endpoint, and one is gone."""
    pods = bed.lab.clusters[0].pods
    kept = (pod for pod in pods if pod.name != without)
    return tuple(replace(pod, labels={"app": "a"} if pod.name == endpoint else {}) for pod in kept)


def echoed(bed: Bed) -> str:
    """The pod that answered a datagram from the client's port."""
    with socket_in(bed.store, "ca", kind=socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.bind(("", PORT))
        client.connect((ECHO, 7))
        client.send(b"who")
        return client.recv(4096).decode().split('"pod": "')[1].split('"')[0]


def forget(bed: Bed) -> None:
    """As the advice says."""
    command = f"conntrack -D -p udp --orig-port-src {PORT}"
    assert bed.run("na", *command.split()).returncode == 0


def test_a_client_keeps_an_endpoint_that_is_none_any_more(bed: Bed, explain: Explain) -> None:
    """k/k#48370, #66651: 1.14 forgets the ClusterIP's entries where there is a node port; today
    they are deleted."""
    with becomes(bed, services=(UDP,), pods=only(bed, "a")):
        assert echoed(bed) == "a"
        with becomes(bed, pods=only(bed, "b")):
            assert echoed(bed) == ("b" if today(bed) else "a")
            same = explain("ca", ECHO, 7, "udp", source_port=PORT)
            new = explain("ca", ECHO, 7, "udp")
            assert works(new)
            assert works(same), "somebody answers"
            assert new.observed.there.end.ns == "b"
            found = same.observed.there.end
            stale = "a", "X_STALE_CONNECTION"
            assert (found.ns, found.code) == (("b", "") if today(bed) else stale)


def test_a_client_keeps_a_pod_that_is_gone(bed: Bed, explain: Explain) -> None:
    """The same when the pod itself is deleted: it calls an address that nobody has."""
    with becomes(bed, services=(UDP,), pods=only(bed, "a")):
        assert echoed(bed) == "a"
        with becomes(bed, pods=only(bed, "b", without="a")):
            same = explain("ca", ECHO, 7, "udp", source_port=PORT)
            if today(bed):
                assert works(same)
                return
            assert dies(same, "na", "X_STALE_CONNECTION")
            assert works(explain("ca", ECHO, 7, "udp")), "control: from another port"
            forget(bed)
            assert works(explain("ca", ECHO, 7, "udp", source_port=PORT))


def test_a_datagram_before_the_rules_makes_an_entry_that_stays(bed: Bed, explain: Explain) -> None:
    """k/k#48719: it leads to the ClusterIP itself.  kube-proxy deletes it; here it did not get so
    far."""
    with becomes(bed, services=(UDP,), pods=only(bed, "b")):
        rules = bed.fact(Chain, ns="na", table="nat", name="KUBE-SERVICES")
        bed.change(bed.state - {rules} | {replace(rules, rules=())})
        early = explain("ca", ECHO, 7, "udp", source_port=PORT)
        assert dies(early, "igw-main", "X_NO_SERVICE_RULE")
        bed.change(bed.state)

        late = explain("ca", ECHO, 7, "udp", source_port=PORT)
        assert dies(late, "igw-main", "X_STALE_CONNECTION")
        assert f"na remembers a connection from {bed.address('ca')}" in late.end.text
        assert works(explain("ca", ECHO, 7, "udp")), "control: from another port"
        forget(bed)
        assert works(explain("ca", ECHO, 7, "udp", source_port=PORT))
