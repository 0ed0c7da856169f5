"""kubectl's apply and delete, on a cluster that is a value."""

import pytest

from testbed.errors import DescriptionError, UsageError
from testbed.kubernetes.eni_config import EniConfig
from testbed.kubernetes.manifests import ObjectName, Objects, parse
from testbed.kubernetes.manifests.apply import apply, delete
from testbed.kubernetes.model import Pod, Service, ServicePort

APP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets:
- {addresses: [{ip: 10.9.0.1}], ports: [{port: 1}]}
- {addresses: [{ip: 10.9.0.2}], ports: [{port: 2}]}
"""
THERE = Objects(
    pods=(Pod("web-0"), Pod("shop")),
    services=(Service("shop", {}, (ServicePort(1),), namespace="other"),),
)


def written(text: str) -> Objects:
    return parse({"app.yaml": text})


def test_new_objects_are_created_beside_what_is_there():
    """A pod named like the Deployment and a Service of another namespace are others."""
    after, changes = apply(THERE, written(APP))

    assert [str(change.name) for change in changes] == [
        "deployment/shop",
        "service/shop",
        "endpoints/db",
    ]
    assert {change.outcome for change in changes} == {"created"}
    assert after.pods[:2] == THERE.pods
    assert [pod.owner for pod in after.pods[2:]] == ["shop", "shop"]
    assert [service.namespace for service in after.services] == ["other", "default"]
    assert len(after.endpoint_slices) == 2


def test_the_same_again_changes_nothing():
    once, _ = apply(THERE, written(APP))

    twice, changes = apply(once, written(APP))

    assert (twice.pods, twice.services) == (once.pods, once.services)
    assert {change.outcome for change in changes} == {"unchanged"}


def test_another_number_of_replicas_keeps_the_pods_that_stay():
    once, _ = apply(THERE, written(APP))

    after, changes = apply(once, written(APP.replace("replicas: 2", "replicas: 1")))

    assert after.pods == once.pods[:3]
    assert changes[0].outcome == "configured"


def test_another_template_replaces_them_in_their_place():
    once, _ = apply(Objects(), written(APP))
    late = Objects((*once.pods, Pod("late")), once.services, once.endpoint_slices)

    after, _ = apply(late, written(APP.replace("{name: shop}]}", "{name: shop, image: two}]}")))

    assert [pod.owner for pod in after.pods] == ["shop", "shop", ""]
    assert not {pod.name for pod in after.pods} & {pod.name for pod in once.pods}


def test_deleted_objects_are_gone_with_all_their_parts():
    once, _ = apply(THERE, written(APP))

    after, changes = delete(once, written(APP).written)

    assert (after.pods, after.services, after.endpoint_slices) == (THERE.pods, THERE.services, ())
    assert {change.outcome for change in changes} == {"deleted"}


def test_what_is_not_there_cannot_be_deleted():
    """kubectl's NotFound; with --ignore-not-found it is no mistake."""
    names = [ObjectName("Service", "default", "nope")]

    with pytest.raises(UsageError, match='Service "nope" not found in namespace default'):
        delete(THERE, names)
    assert delete(THERE, names, ignore_not_found=True) == (THERE, ())


def eni_config(subnet: str, name: str = "us-west-2a") -> str:
    return f"""\
apiVersion: crd.k8s.amazonaws.com/v1alpha1
kind: ENIConfig
metadata: {{name: {name}, namespace: kube-system}}
spec: {{subnet: {subnet}, securityGroups: [pods]}}
"""


def test_an_eni_config_is_in_no_namespace_and_takes_the_place_of_the_one_of_its_name():
    once, created = apply(THERE, written(eni_config("a")))
    after, configured = apply(once, written(eni_config("b") + "---\n" + eni_config("c", "x")))

    assert [(str(one.name), one.outcome) for one in (*created, *configured)] == [
        ("eniconfig/us-west-2a", "created"),
        ("eniconfig/us-west-2a", "configured"),
        ("eniconfig/x", "created"),
    ]
    assert created[0].name.namespace == ""
    assert after.eni_configs == (
        EniConfig("us-west-2a", "b", ("pods",)),
        EniConfig("x", "c", ("pods",)),
    )
    gone, _ = delete(after, written(eni_config("b")).written)
    assert [config.name for config in gone.eni_configs] == ["x"]


def refused(before: str, after: str) -> str:
    once, _ = apply(Objects(), written(before))
    with pytest.raises(DescriptionError) as caught:
        apply(once, written(after))
    return str(caught.value)


def test_a_deployments_selector_is_for_ever():
    """Its pods would be nobody's any more (ValidateDeploymentUpdate)."""
    other = APP.replace("app: shop}}", "app: store}}")

    assert refused(APP, other) == "app.yaml:6: spec.selector: field is immutable"


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {tolerations: [{key: a}], containers: [{name: web, image: a, ports: [{containerPort: 80}]}]}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("containerPort: 80", "containerPort: 81"),
        ("spec: {", "spec: {nodeName: n1, "),
        ("spec: {", "spec: {hostNetwork: true, "),
        ("tolerations: [{key: a}], ", ""),
    ],
)
def test_a_pod_is_what_it_is(old: str, new: str):
    """ValidatePodUpdate: who wants another pod deletes it first."""
    said = refused(POD, POD.replace(old, new))

    assert said.startswith("app.yaml:4: spec: pod updates may not change fields other than")


def test_a_pods_labels_image_and_further_tolerations_may_change():
    changed = POD.replace("app: web", "app: api").replace("image: a", "image: b")
    once, _ = apply(Objects(), written(POD))

    after, [change] = apply(once, written(changed.replace("{key: a}", "{key: a}, {key: b}")))

    assert change.outcome == "configured"
    assert after.pods[0].labels == {"app": "api"}


def test_an_object_without_parts_is_there_if_it_was_applied():
    """A Deployment of no replicas, an Endpoints of no addresses."""
    none = written(APP.replace("replicas: 2", "replicas: 0"))
    name = ObjectName("Deployment", "default", "shop")

    _, first = apply(Objects(), none)
    _, again = apply(Objects(), none, {name})
    _, gone = delete(Objects(), [name], {name})

    assert [first[0].outcome, again[0].outcome, gone[0].outcome] == [
        "created",
        "unchanged",
        "deleted",
    ]
