"""Manifests for a small lab: a good one, and what hypothesis draws from the kinds' own fields."""

from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

from testbed.kubernetes.load_balancers.annotations import PREFIX, READERS, WITHOUT_EFFECT
from testbed.kubernetes.manifests.documents import KINDS
from tests.inputs.schemas import Drawing, Strategy, with_slips
from tests.inputs.spellings import SPELLINGS, block

TOPOLOGY = """\
testbed: v1
name: lab
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a }
      b: { cidr: 10.0.2.0/24, availabilityZone: us-west-2b }
clusters:
  eks:
    vpc: main
    nodes:
      node-1: { subnet: a, instanceType: t3.small }
      node-2: { subnet: b, instanceType: t3.small }
    pods: { client: { node: node-2 } }
"""
APP = """\
apiVersion: v1
kind: Service
metadata: {name: shop, annotations: {a: b}}
spec:
  selector: {app: shop}
  clusterIP: 172.20.0.7
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      nodeSelector: {kubernetes.io/hostname: node-1}
      containers: [{name: shop, ports: [{name: web, containerPort: 8080}]}]
"""

SLICE_OF_SHOP = {"kubernetes.io/service-name": "shop"}
LABELS = [{"app": "shop"}, {"app": "shop"}, {"app": "shop", "tier": "1"}, {}]
# Kubernetes' AWS cloud provider and the AWS Load Balancer Controller, its guide's "Annotations"
BALANCERS = [
    *(PREFIX + name for name in (*READERS, *WITHOUT_EFFECT)),
    *(PREFIX + name for name in ("type", "scheme", "nlb-target-type", "ip-address-type", "name")),
    *(PREFIX + name for name in ("target-group-attributes", "subnets", "eip-allocations", "odd")),
]
VALUES = ["true", "false", "nlb", "nlb-ip", "external", "ip", "instance", "internet-facing"]
ANNOTATIONS = st.dictionaries(
    st.sampled_from([*BALANCERS, "example.com/note", "k8s.v1.cni.cncf.io/networks"]),
    st.sampled_from([*VALUES, "*", "10", "0", "", "preserve_client_ip.enabled=true"]),
    max_size=2,
)
MEANT: dict[str, list[Any]] = {  # by the key: what makes sense in the lab above, and near misses
    "name": ["shop", "web", "db", "http"],
    "subnet": ["a", "b", "c"],
    "namespace": ["default", "default", "tools"],
    "labels": LABELS,
    "matchLabels": LABELS,
    "nodeName": ["node-1", "node-2", "", "node-3"],
    "nodeSelector": [{}, {"kubernetes.io/hostname": "node-2"}, {"kubernetes.io/os": "linux"}],
    "clusterIP": ["None", "172.20.0.9", "172.20.0.10", "", "10.0.1.9"],
    "externalName": ["", "example.com"],
    "hostname": ["", "one"],
    "subdomain": ["", "db"],
    "replicas": [0, 1, 3],
    "nodePort": [30080, 31000, 32767, 80],
    "hostPort": [80, 8080, 65535],
    "hostIP": ["", "0.0.0.0", "10.0.1.4", "127.0.0.1"],
    "targetPort": [80, "http", "web", "80"],
    "deletionTimestamp": [None, "2019-11-05T10:00:00Z"],
    "loadBalancerSourceRanges": [[], ["198.51.100.0/24"], ["198.51.100.7/24", "0.0.0.0/0"]],
}
OF_KIND: dict[str, dict[str, list[Any]]] = {  # what the same key means elsewhere
    "Service": {"selector": [{"app": "shop"}, {}]},
    "EndpointSlice": {"labels": [SLICE_OF_SHOP, SLICE_OF_SHOP, {}]},
}
ALWAYS = (
    *("apiVersion", "kind", "metadata", "spec", "selector", "matchLabels", "labels"),
    *("containers", "ports", "addresses"),
)


def _of_kind(kind: str) -> Strategy:
    schema = TypeAdapter(KINDS[kind]).json_schema(by_alias=True)
    drawing = Drawing(schema, MEANT | OF_KIND.get(kind, {}), ALWAYS)
    annotated = st.tuples(drawing.whole(), ANNOTATIONS).map(_annotated)
    return drawing.whole() | annotated if kind == "Service" else drawing.whole()


def _annotated(both: tuple[Any, dict[str, str]]) -> Any:
    tree, annotations = both
    return {**tree, "metadata": {**tree["metadata"], "annotations": annotations}}


def _named(tree: Any) -> Any:
    """Most of them have a name."""
    return {**tree, "metadata": {"name": "shop", **tree["metadata"]}}


OBJECTS = st.one_of(*map(_of_kind, sorted(KINDS))).map(_named)
SPELT = st.tuples(
    st.lists(with_slips(OBJECTS, most=1), min_size=1, max_size=2), st.sampled_from(SPELLINGS)
)
MANIFESTS = SPELT.map(lambda drawn: drawn[1](drawn[0])) | st.lists(
    OBJECTS, min_size=1, max_size=2
).map(block)
