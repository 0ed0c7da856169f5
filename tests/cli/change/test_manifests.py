"""apply -f and delete -f: manifests change a running lab, whole or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Commands

pytestmark = pytest.mark.kernel

APP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, ports: [{name: web, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {type: NodePort, selector: {app: shop}, ports: [{port: 80, targetPort: web}]}
"""
ANSWER = '"container": "shop"'


def get(lab: Commands, *words: str) -> Any:
    return json.loads(lab.on("get", *words, "-o", "json"))


def endpoints(lab: Commands, service: str) -> int:
    [row] = get(lab, "endpoints", service)
    return len(row["endpoints"])


def curl(lab: Commands, address: str, code: int = 0) -> str:
    return lab.on("exec", "client", "--", "curl", "-sS", "-m", "60", address, code=code)


def test_a_deployment_and_its_service_come_change_and_go(lab: Commands) -> None:
    """kubectl's words; the pods answer by the Service; the rest of the lab stays."""
    pods = get(lab, "pods")

    said = lab.on("apply", "-f", "-", stdin=APP)
    assert said == "deployment/shop created\nservice/shop created\n"
    assert ANSWER in curl(lab, "http://shop/")
    assert endpoints(lab, "shop") == 2
    lab.on("verify")

    assert "deployment/shop unchanged" in lab.on("apply", "-f", "-", stdin=APP)
    fewer = APP.replace("replicas: 2", "replicas: 0")
    assert lab.on("apply", "-f", "-", stdin=fewer).startswith("deployment/shop configured\n")
    assert endpoints(lab, "shop") == 0
    assert "Couldn't connect" in curl(lab, "http://shop/", code=7), "refused at once, no timeout"

    assert "deployment/shop unchanged" in lab.on("apply", "-f", "-", stdin=fewer)
    assert lab.on("delete", "-f", "-", stdin=APP).startswith("deployment/shop deleted\n")
    assert get(lab, "pods") == pods
    assert [row["name"] for row in get(lab, "services")] == ["web"]
    lab.on("verify")


def test_what_was_applied_outlives_the_daemon_and_an_up_of_the_labs_file(
    commands: Commands,
) -> None:
    """Until it is deleted: the file says nothing of it."""
    lab = commands
    lab.up()
    lab.on("apply", "-f", "-", stdin=APP)
    before = get(lab, "pods")

    lab.kill_daemon()
    lab.up()

    assert get(lab, "pods") == before
    assert ANSWER in curl(lab, "http://shop/")
    lab.on("delete", "-f", "-", stdin=APP)
    lab.up()
    assert [row["name"] for row in get(lab, "services")] == ["web"]


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(lab: Commands) -> None:
    said = lab.on("apply", "-f", "-", "--dry-run", stdin=APP)

    assert said.startswith("deployment/shop created (dry run)\nservice/shop created (dry run)\n")
    assert "+ shop-" in said
    assert [row["name"] for row in get(lab, "services")] == ["web"]


WRONG = {  # what is replaced, by what; what is said
    "a kind that is not enforced": (
        "kind: Service",
        "kind: Ingress",
        "<stdin>:12: kind Ingress is not enforced by the testbed",
    ),
    "an address outside the range": (
        "type: NodePort",
        "clusterIP: 10.9.9.9",
        "<stdin>:14: spec.clusterIP: provided IP is not in the valid range",
    ),
    "a node port out of range": (
        "{port: 80,",
        "{port: 80, nodePort: 80,",
        "provided port is not in the valid range. The range of valid ports is 30000-32767",
    ),
    "a ClusterIP that was given to another": (
        "type: NodePort",
        "clusterIP: 172.20.0.2",
        '<stdin>:14: spec.clusterIP: provided IP is already allocated: Service "web" has it',
    ),
    "a pod on no node": (
        "spec: {containers",
        "spec: {nodeName: node-9, containers",
        'there is no node "node-9"; did you mean',
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), WRONG.values(), ids=WRONG)
def test_when_one_object_is_refused_none_is_applied(
    lab: Commands, old: str, new: str, said: str
) -> None:
    assert said in lab.on("apply", "-f", "-", code=2, stdin=APP.replace(old, new, 1))
    assert [row["name"] for row in get(lab, "services")] == ["web"]
    lab.on("verify")


@pytest.mark.parametrize("verb", ["apply", "delete"])
def test_a_file_without_objects_is_a_mistake(lab: Commands, tmp_path: Path, verb: str) -> None:
    """A template that came out empty; kubectl: "no objects passed to apply"."""
    empty = tmp_path / "empty.yaml"
    empty.write_text("---\n# nothing\n")

    assert f"there is no object in {empty}" in lab.on(verb, "-f", str(empty), code=2)


def test_deleting_what_is_not_there_deletes_nothing(lab: Commands) -> None:
    lab.on("apply", "-f", "-", stdin=APP)
    deployment, service = APP.split("---\n")
    other = "---\n".join([deployment, service.replace("{name: shop}", "{name: x}")])

    assert 'Service "x" not found' in lab.on("delete", "-f", "-", code=2, stdin=other)
    assert endpoints(lab, "shop") == 2
    lab.on("delete", "-f", "-", stdin=APP)


def test_endpoints_of_a_service_without_a_selector_are_those_written(lab: Commands) -> None:
    """An address outside the cluster behind a ClusterIP."""
    web = get(lab, "pods", "web-0")[0]["ip"]
    text = f"""\
apiVersion: v1
kind: Service
metadata: {{name: db}}
spec: {{ports: [{{port: 81}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: db}}
subsets: [{{addresses: [{{ip: {web}}}], ports: [{{port: 80}}]}}]
"""
    lab.on("apply", "-f", "-", stdin=text)

    assert '"pod": "web-0"' in curl(lab, "http://db:81/")
    lab.on("delete", "-f", "-", stdin=text)


ENI_CONFIG = """\
apiVersion: crd.k8s.amazonaws.com/v1alpha1
kind: ENIConfig
metadata: {name: default}
spec: {subnet: SUBNET}
"""


def test_an_eni_config_gives_waiting_pods_their_addresses(commands: Commands) -> None:
    """Custom networking switched on before there is any: kubectl apply is what helps."""
    lab = commands
    custom = "    vpc: main\n    env: { AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG: true }\n"
    text = lab.file.read_text().replace("    vpc: main\n", custom)
    pods = "      b: { cidr: 10.0.2.0/24, availabilityZone: us-west-2b }\n"
    lab.file.write_text(
        text.replace(
            pods,
            pods + pods.replace("b:", "wide:").replace("2b", "2a").replace("2.0/24", "64.0/20"),
        )
    )
    lab.up()
    assert {row["status"] for row in get(lab, "pods")} == {"Pending"}

    lab.on("apply", "-f", "-", code=2, stdin=ENI_CONFIG.replace("SUBNET", "wider"))
    said = lab.on("apply", "-f", "-", stdin=ENI_CONFIG.replace("SUBNET", "wide"))

    assert said.startswith("eniconfig/default created\n")
    rows = {row["name"]: row for row in get(lab, "pods")}
    assert [rows[name]["status"] for name in ("web-0", "web-1")] == ["Running", "Running"]
    assert rows["web-0"]["ip"].startswith("10.0.64.")
    assert rows["client"]["status"] == "Pending", "node-2 is in another zone"
    lab.on("ping", "web-0", "web-1")
    lab.on("verify")


def test_a_service_keeps_its_cluster_ip(lab: Commands) -> None:
    """Whether it asked for it or not; who wants another one deletes the Service."""
    service = APP.split("---\n")[1]
    lab.on("apply", "-f", "-", stdin=service)

    for other in ("172.20.9.9", "None"):
        changed = service.replace("type: NodePort", f"clusterIP: {other}")
        said = lab.on("apply", "-f", "-", code=2, stdin=changed)
        assert "<stdin>:4: spec.clusterIP: field is immutable: the Service has" in said

    lab.on("delete", "-f", "-", stdin=service)
