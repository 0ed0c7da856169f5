"""A cluster's names, asked of the VPC's DNS server from a pod, in both kinds of cluster."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.description.ports import Port
from testbed.kubernetes.endpoint_slices import EndpointAddress, EndpointPort, EndpointSlice
from testbed.kubernetes.model import Container, Pod, Service, ServicePort
from testbed.load import load
from testbed.probes.sockets import socket_in
from testbed.vpc.fabric.resolver import DNS_ADDRESS
from tests.routing.services.dns_messages import (
    CNAME,
    NXDOMAIN,
    PTR,
    SRV,
    TXT,
    A,
    Answer,
    answers,
    question,
)
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

DOMAIN = "svc.cluster.local"
DB = f"db.default.{DOMAIN}"
SERVED = (Container("db", (Port(5432, "tcp", "pg"),)),)
PODS = (
    Pod("client"),
    *Pod.replicas("db", 2, subdomain="db", containers=SERVED),
    Pod("db-2", ready=False, subdomain="db", containers=SERVED),
    Pod("db-3", hostname="", subdomain="db", containers=SERVED),
    Pod("web"),
    Pod("plain", dns_policy="Default"),
)
SELECTED = {"app": "db"}
PORT = ServicePort(80, target_port="pg", name="sql")
SERVICES = (
    Service("db", SELECTED, (PORT,), cluster_ip="None"),
    Service("peers", SELECTED, (PORT,), cluster_ip="None", publish_not_ready_addresses=True),
    Service("bare", SELECTED, cluster_ip="None"),
    Service("nobody", {"app": "nobody"}, (PORT,), cluster_ip="None"),
    Service(
        "web",
        {"app": "web"},
        (ServicePort(80, name="http"), ServicePort(53, None, None, "dns", "UDP")),
    ),
    Service("elsewhere", type="ExternalName", external_name=DB),
    Service("outside", type="ExternalName", external_name="db.example.com"),
    Service("round", type="ExternalName", external_name=f"about.default.{DOMAIN}"),
    Service("about", type="ExternalName", external_name=f"round.default.{DOMAIN}"),
    Service("written", cluster_ip="None"),
)
WRITTEN = EndpointSlice(
    "written-1",
    "written",
    (EndpointAddress(IPv4Address("198.51.100.7"), hostname="old-one"),),
    (EndpointPort(3306, "mysql"),),
)


@pytest.fixture(scope="module", params=["eks", "kops"])
def bed(request: pytest.FixtureRequest, topologies: Path) -> Iterator[Bed]:
    lab = load(topologies / f"{request.param}.yaml")
    cluster = replace(lab.clusters[0], pods=PODS, services=SERVICES, endpoint_slices=(WRITTEN,))
    with bring_up(replace(lab, clusters=(cluster,))) as up:
        yield up


def asked(bed: Bed, name: str, kind: int = A) -> tuple[int, list[Answer]]:
    """What a pod is answered, in one datagram each way."""
    with socket_in(bed.store, "client", kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.sendto(question(name, kind), (str(DNS_ADDRESS), 53))
        return answers(client.recv(4096))


def data(bed: Bed, name: str, kind: int = A) -> set[str]:
    return {one.data for one in asked(bed, name, kind)[1] if one.kind == kind}


def ips(bed: Bed, *pods: str) -> set[str]:
    return {str(bed.pod(pod).ip) for pod in pods}


def dashed(bed: Bed, pod: str) -> str:
    """The name CoreDNS gives an endpoint without a hostname."""
    return str(bed.pod(pod).ip).replace(".", "-")


def test_a_headless_service_is_its_ready_endpoints(bed: Bed) -> None:
    _, found = asked(bed, DB)

    assert {one.data for one in found} == ips(bed, "db-0", "db-1", "db-3")
    assert {one.ttl_s for one in found} == {30}
    assert data(bed, f"bare.default.{DOMAIN}") == ips(bed, "db-0", "db-1", "db-3")


def test_a_pod_may_ask_as_its_node_does(bed: Bed) -> None:
    """dnsPolicy Default: no search through the cluster's domains."""
    argv = ("getent", "hosts", "web")

    assert bed.run("plain", *argv).returncode != 0
    assert bed.run("client", *argv).returncode == 0, "control"


def test_not_ready_addresses_can_be_published(bed: Bed) -> None:
    """What a StatefulSet's peers need to find each other before any of them is ready."""
    assert data(bed, f"peers.default.{DOMAIN}") == ips(bed, "db-0", "db-1", "db-2", "db-3")


def test_a_pod_of_the_services_subdomain_has_a_name_of_its_own(bed: Bed) -> None:
    """The C library finds it by the search path, as an application would."""
    lines = bed.run("client", "getent", "ahostsv4", "db-1.db").stdout.splitlines()

    assert {line.split()[0] for line in lines} == ips(bed, "db-1")
    assert data(bed, f"db-1.{DB}") == ips(bed, "db-1")
    assert asked(bed, f"db-2.{DB}") == (NXDOMAIN, []), "it is not ready"
    assert asked(bed, f"db-1.peers.default.{DOMAIN}") == (NXDOMAIN, []), "no subdomain of its own"


def test_another_endpoint_is_known_by_its_address(bed: Bed) -> None:
    assert data(bed, f"{dashed(bed, 'db-3')}.{DB}") == ips(bed, "db-3")


def test_who_has_an_address_is_answered_with_an_endpoints_name(bed: Bed) -> None:
    """CoreDNS knows one for each of its Services; dnsmasq tells one of them."""
    [name] = data(bed, f"{bed.pod('db-1').ip.reverse_pointer}", PTR)

    assert name.endswith(f".{DOMAIN}")
    assert data(bed, name) == ips(bed, "db-1")
    assert len(name.split(".")) == len(f"db-1.{DB}".split("."))


def test_who_has_a_cluster_ip_is_answered_with_its_service(bed: Bed) -> None:
    """Section 2.3.3."""
    [address] = data(bed, f"web.default.{DOMAIN}")

    assert data(bed, IPv4Address(address).reverse_pointer, PTR) == {f"web.default.{DOMAIN}"}


def test_an_endpoint_of_a_service_with_an_address_has_no_name_below_it(bed: Bed) -> None:
    """Section 2.4: a headless Service's alone have.  (CoreDNS gives them one all the same.)"""
    assert asked(bed, f"{dashed(bed, 'web')}.web.default.{DOMAIN}") == (NXDOMAIN, [])


def test_a_pod_has_a_name_made_of_its_address(bed: Bed) -> None:
    """Section 2.6; no matter whose address it is, or whether the pod is there."""
    own = str(bed.pod("web").ip)

    assert data(bed, f"{own.replace('.', '-')}.default.pod.cluster.local") == {own}
    assert data(bed, f"{own.replace('.', '-')}.kube-system.pod.cluster.local") == {own}
    assert asked(bed, f"{own.replace('.', '-')}.nowhere.pod.cluster.local") == (NXDOMAIN, [])


def test_the_version_of_the_specification_is_told(bed: Bed) -> None:
    """Section 2.2."""
    assert data(bed, "dns-version.cluster.local", TXT) == {"1.1.0"}


def test_srv_tells_the_port_of_each_endpoint(bed: Bed) -> None:
    """The pods' port, not the Service's; a third of the weight each."""
    hosts = ["db-0", "db-1", dashed(bed, "db-3")]
    wanted = {f"0 33 5432 {host}.{DB}" for host in hosts}

    assert data(bed, f"_sql._tcp.{DB}", SRV) == wanted
    assert data(bed, DB, SRV) == wanted
    assert {one.ttl_s for one in asked(bed, DB, SRV)[1]} == {30}
    assert asked(bed, f"_sql._udp.{DB}", SRV) == (NXDOMAIN, [])


def test_srv_of_a_service_with_an_address_tells_its_own_port(bed: Bed) -> None:
    web = f"web.default.{DOMAIN}"

    assert data(bed, f"_http._tcp.{web}", SRV) == {f"0 100 80 {web}"}
    assert data(bed, f"_dns._udp.{web}", SRV) == {f"0 100 53 {web}"}
    assert data(bed, web, SRV) == {f"0 50 80 {web}", f"0 50 53 {web}"}


def test_an_external_name_is_an_alias(bed: Bed) -> None:
    """Answered with what the target has, where the server knows that."""
    _, [first, *rest] = asked(bed, f"elsewhere.default.{DOMAIN}")

    assert (first.kind, first.data, first.ttl_s) == (CNAME, DB, 30)
    assert {one.data for one in rest} == ips(bed, "db-0", "db-1", "db-3")
    assert data(bed, f"outside.default.{DOMAIN}", CNAME) == {"db.example.com"}


def test_names_that_lead_round_in_a_circle_harm_nobody(bed: Bed) -> None:
    assert asked(bed, f"round.default.{DOMAIN}") == (NXDOMAIN, [])


def test_a_headless_service_without_endpoints_does_not_exist(bed: Bed) -> None:
    assert asked(bed, f"nobody.default.{DOMAIN}") == (NXDOMAIN, [])


def test_endpoints_that_users_wrote_are_known_too(bed: Bed) -> None:
    name = f"written.default.{DOMAIN}"

    assert data(bed, name) == {"198.51.100.7"} == data(bed, f"old-one.{name}")
    assert data(bed, f"_mysql._tcp.{name}", SRV) == {f"0 100 3306 old-one.{name}"}


def test_a_pod_that_becomes_ready_appears(bed: Bed) -> None:
    """And one that ends is gone."""
    before = bed.lab
    changed = {
        "db-2": replace(PODS[3], ready=True),
        "db-0": replace(PODS[1], terminating=True),
    }
    pods = tuple(changed.get(pod.name, pod) for pod in PODS)
    bed.up(replace(before, clusters=(replace(before.clusters[0], pods=pods),)))

    assert data(bed, DB) == ips(bed, "db-1", "db-2", "db-3")
    bed.up(before)
    assert data(bed, DB) == ips(bed, "db-0", "db-1", "db-3")
