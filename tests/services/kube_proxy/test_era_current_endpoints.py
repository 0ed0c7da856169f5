"""Which endpoints today's kube-proxy takes, and which Services it leaves alone."""

import pytest

from tests.services.kube_proxy.conftest import Rendered
from tests.services.kube_proxy.manifests import ENDPOINTS, LOCAL, OTHER, OWN, SERVICE, SVC, SVL

SLICE = """
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints:
- {addresses: [10.2.0.22], nodeName: other, conditions: {ready: %s}}
- {addresses: [10.2.0.2], nodeName: me, conditions: {ready: false, serving: %s, terminating: true}}
ports: [{name: http, port: 8080}]
"""


def test_who_ends_is_taken_only_when_nobody_is_ready(rendered: Rendered):
    """Each policy decides for itself: Local takes its own that ends, Cluster the ready one."""
    some = rendered(LOCAL + SLICE % ("true", "true"))
    none = rendered(LOCAL + SLICE % ("false", "true"))

    assert [rule.rpartition(" ")[2] for rule in some[f"nat {SVC}"][1:]] == [OTHER]
    assert [rule.rpartition(" ")[2] for rule in some[f"nat {SVL}"]] == [OWN]
    assert {f"nat {OWN}", f"nat {OTHER}"} <= some.keys()
    assert [rule.rpartition(" ")[2] for rule in none[f"nat {SVC}"][1:]] == [OWN]


def test_who_does_not_serve_is_no_endpoint(rendered: Rendered):
    assert (
        "has no endpoints"
        in (rendered(SERVICE + SLICE % ("false", "false"))["filter KUBE-SERVICES"][0])
    )


def test_more_than_a_thousand_endpoints_silence_their_chains(rendered: Rendered):
    """The comments of KUBE-SVC and KUBE-SEP go, which is a good part of the text."""
    many = ", ".join(f"{{ip: 10.2.{i // 250}.{i % 250 + 1}}}" for i in range(1001))

    found = rendered(
        SERVICE
        + f"""
---
apiVersion: v1
kind: Endpoints
metadata: {{name: web}}
subsets: [{{addresses: [{many}], ports: [{{name: http, port: 8080}}]}}]
"""
    )

    assert "comment" in found[f"nat {SVC}"][0], "the ClusterIP's own"
    assert not any("comment" in rule for rule in found[f"nat {SVC}"][1:])
    assert not any("comment" in rule for rule in found[f"nat {OWN}"])


SOMEBODY_ELSES = {
    "headless": SERVICE.replace("clusterIP: 172.20.0.7", "clusterIP: None"),
    "external name": SERVICE.replace(
        "clusterIP: 172.20.0.7", "type: ExternalName\n  externalName: example.com"
    ),
    "another proxy's": SERVICE.replace(
        "name: web}", "name: web, labels: {service.kubernetes.io/service-proxy-name: x}}"
    ),
    "labelled headless": SERVICE.replace(
        "name: web}", 'name: web, labels: {service.kubernetes.io/headless: ""}}'
    ),
}


@pytest.mark.parametrize("service", SOMEBODY_ELSES.values(), ids=SOMEBODY_ELSES)
def test_services_that_are_not_kube_proxys_have_no_rules(rendered: Rendered, service: str):
    assert rendered(service + ENDPOINTS) == rendered("")
