"""The labs of Kubernetes' promises: two nodes with kubenet, then and now, and with the VPC's CNI.

na   web-0, web-1        labels app=web, as far has
nb   far, client
     outside             an instance in a subnet of its own
"""

import http.client
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kubernetes.model import Service, ServicePort
from testbed.lab import Cluster, Lab
from testbed.load import parse
from testbed.probes.sockets import inside
from tests.waiting import PATIENCE_S

VPC = """
testbed: v1
name: promises
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a }
      b: { cidr: 10.0.2.0/24, availabilityZone: us-west-2b }
      c: { cidr: 10.0.3.0/24, availabilityZone: us-west-2a }
    routeTables:
      main: { 0.0.0.0/0: internet-gateway }
    instances:
      outside: { subnet: c }
clusters:
  cluster:
    vpc: main
    serviceCidr: 172.20.0.0/16
    nodes:
      na: { subnet: a, instanceType: t3.medium, privateIp: 10.0.1.11 }
      nb: { subnet: b, instanceType: t3.medium, privateIp: 10.0.2.11 }
    pods:
      web: { replicas: 2, node: na }
      far: { node: nb, labels: { app: web } }
      client: { node: nb }
"""
KOPS = VPC + "    kind: kops\n    nonMasqueradeCidr: 172.16.0.0/12\n    podCidr: 172.24.0.0/13\n"
LABS = {
    "kops, 1.14": KOPS + '    kubeProxy: { era: "1.14" }\n',
    "kops, today": KOPS + "    kubeProxy: { era: current }\n",
    "eks, today": VPC + "    kind: eks\n",
}
ALL = {"web-0", "web-1", "far"}
IP = "172.20.0.50"
CLUSTER_IP = IPv4Address(IP)
NODE_PORT = 30080
ENOUGH = 60  # tries: one of three endpoints is missed by all of them once in 10**10 times


@pytest.fixture(scope="module", params=[*LABS.values()], ids=[*LABS])
def bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    with bring_up(parse(request.param, "promises.yaml")) as up:
        yield up


def cluster(bed: Bed) -> Cluster:
    [only] = bed.lab.clusters
    return only


def today(bed: Bed) -> bool:
    return cluster(bed).proxy.era == "current"


def changed(bed: Bed, **values: Any) -> Lab:
    """The lab whose cluster has other pods, Services or endpoints."""
    return replace(bed.lab, clusters=(replace(cluster(bed), **values),))


def serve(bed: Bed, **fields: Any) -> None:
    """One Service `web` with these fields, as `apply` of another manifest makes it."""
    given: dict[str, Any] = {"ports": (ServicePort(80, node_port=NODE_PORT),), "type": "NodePort"}
    service = Service("web", {"app": "web"}, cluster_ip=CLUSTER_IP, **{**given, **fields})
    bed.up(changed(bed, services=(service,)))


def who(bed: Bed, source: str, address: str = IP, port: int = 80) -> str:
    """The pod that answered, or how the connection failed."""
    outcome = bed.http(source, address, port)
    return str(outcome.answer["pod"]) if outcome.answer else outcome.verdict


def everyone(bed: Bed, source: str, address: str = IP, port: int = 80) -> set[str]:
    return {who(bed, source, address, port) for _ in range(ENOUGH)}


def health(bed: Bed, node: str) -> tuple[int, int]:
    """The status of a node's health check, and how many endpoints it has."""
    with inside(bed.store, "outside"):
        connection = http.client.HTTPConnection(node, 30999, timeout=PATIENCE_S)
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
    return response.status, int(text.split('"localEndpoints": ')[1].split("\n")[0].rstrip(","))
