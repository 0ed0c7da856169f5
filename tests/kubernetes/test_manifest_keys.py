"""Mistakes across a lab are told by the manifest's own keys."""

from typing import Any

import pytest

from testbed.description.problem import Path, Problem, spelt
from testbed.kubernetes.manifests import parse
from testbed.kubernetes.manifests.keys import written

CONTAINERS = [{"name": "app"}, {"name": "side"}]
POD = {"spec": {"nodeName": "node-1", "containers": CONTAINERS}}
DEPLOYMENT = {"spec": {"template": POD}}


@pytest.mark.parametrize(
    ("kind", "data", "path", "key"),
    [
        ("Service", {}, (), "metadata.name"),
        ("Service", {}, ("ports", 1, "nodePort"), "spec.ports[1].nodePort"),
        ("Service", {}, ("clusterIp",), "spec.clusterIP"),
        ("Service", {}, ("externalIPs", 0), "spec.externalIPs[0]"),
        ("Service", {}, ("namespace",), "metadata.namespace"),
        ("Service", {}, ("annotations", "a"), "metadata.annotations.a"),
        ("Service", {}, ("loadBalancerIPs",), "status.loadBalancer.ingress"),
        ("Pod", POD, ("node",), "spec.nodeName"),
        ("Pod", POD, ("nodeSelector", "disk"), "spec.nodeSelector.disk"),
        ("Pod", POD, ("containers", "side", "ports", 0), "spec.containers[1].ports[0]"),
        ("Pod", POD, ("containers", "others", "ports", 0), "spec.containers"),
        ("Deployment", DEPLOYMENT, (), "metadata.name"),
        ("Deployment", DEPLOYMENT, ("namespace",), "metadata.namespace"),
        ("Deployment", DEPLOYMENT, ("hostname",), "spec.template.spec.hostname"),
        (
            "Deployment",
            DEPLOYMENT,
            ("containers", "app", "ports", 1, "hostPort"),
            "spec.template.spec.containers[0].ports[1].hostPort",
        ),
        ("EndpointSlice", {}, ("addresses", 0, "hostname"), "endpoints[0].hostname"),
        ("EndpointSlice", {}, ("ports", 0, "name"), "ports[0].name"),
        ("Endpoints", {}, ("addresses", 3, "hostname"), "subsets"),
        ("ENIConfig", {}, ("subnet",), "spec.subnet"),
    ],
)
def test_a_key_of_the_topology_has_its_place_in_the_object(
    kind: str, data: dict[str, Any], path: Path, key: str
) -> None:
    assert spelt(written(kind, data, path)) == key


MANIFEST = """\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: shop}
  spec:
    ports:
    - port: 80
      nodePort: 80
"""


def test_the_line_is_that_of_the_key_also_in_a_list() -> None:
    found = parse({"app.yaml": MANIFEST})

    refusal = found.refusal(Problem(("services", "shop.web", "ports", 0, "nodePort"), "no"))

    assert str(refusal) == "app.yaml:10: items[0].spec.ports[0].nodePort: no"


def test_what_is_of_nothing_that_was_written_is_no_refusal() -> None:
    found = parse({"app.yaml": MANIFEST})

    assert found.refusal(Problem(("services", "other"), "no")) is None
    assert found.refusal(Problem(("serviceCidr",), "no")) is None
