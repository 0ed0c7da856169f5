"""A pod's bandwidth: quantities as Kubernetes writes them, and what it would refuse of them."""

import pytest

from testbed.kubernetes.cni.bandwidth import EGRESS, INGRESS, Bandwidth, bandwidth, problems
from testbed.kubernetes.manifests import parse

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: shop
  annotations: {{kubernetes.io/ingress-bandwidth: {0}, note: mine}}
spec: {{containers: [{{name: app}}]}}
"""


@pytest.mark.parametrize(
    ("text", "kbit"),
    [
        ("10M", 10_000),
        ("1k", 1),
        ("1.5k", 1),
        ("1Ki", 1),
        ("1Mi", 1048),
        ("2500", 2),
        ("1e6", 1000),
        ("1P", 10**12),
        ("0.5G", 500_000),
    ],
)
def test_a_quantity_is_whole_kilobits(text: str, kbit: int) -> None:
    """tc is told so many kbit; kubelet cuts the rest off."""
    assert bandwidth({INGRESS: text}) == Bandwidth(kbit, None)
    assert bandwidth({EGRESS: text}) == Bandwidth(None, kbit)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("999", "unreasonably small (< 1kbit)"),
        ("2P", "unreasonably large (> 1Pbit)"),
        ("1E", "unreasonably large (> 1Pbit)"),
        ("-1M", "expected bits a second such as 10M"),
        ("10 M", "expected bits a second"),
        ("fast", "expected bits a second"),
        ("", "expected bits a second"),
    ],
)
def test_what_no_shaper_could_do_is_refused(text: str, said: str) -> None:
    [problem] = problems({INGRESS: text})

    assert problem.path == (INGRESS,)
    assert said in problem.message


def test_other_annotations_of_a_topology_would_do_nothing() -> None:
    [problem] = problems({"kubernetes.io/ingres-bandwidth": "1M"})

    assert f'did you mean "{INGRESS}"?' in problem.message


def test_a_manifest_keeps_those_of_its_template() -> None:
    """Notes of tools are no network's business."""
    [pod] = parse({"app.yaml": POD.format("10M")}).pods

    assert pod.annotations == {INGRESS: "10M"}
