"""A topology may name files of Kubernetes manifests; the Lab holds what is in them."""

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.errors import DescriptionError
from testbed.kops.model import KopsCluster
from testbed.kubernetes.eni_config import EniConfig
from testbed.kubernetes.manifests import Objects
from testbed.lab import from_json, to_json
from testbed.lab.objects import with_objects
from testbed.load import load, with_manifests

TOPOLOGY = """\
testbed: v1
name: small
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: {cidr: 10.0.1.0/24, availabilityZone: us-west-2a}
      b: {cidr: 10.0.2.0/24, availabilityZone: us-west-2b}
clusters:
  eks:
    vpc: main
    nodes:
      node-1: {subnet: a, instanceType: t3.small}
    pods:
      web:
    manifests:
      - app.yaml
"""
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: client
spec:
  nodeName: node-1
  containers:
  - {name: a, image: busybox}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    """A topology file with a manifest beside it."""
    (tmp_path / "app.yaml").write_text(POD)
    file = tmp_path / "small.yaml"
    file.write_text(TOPOLOGY)
    return file


def error_of(file: Path) -> str:
    with pytest.raises(DescriptionError) as caught:
        load(file)
    return str(caught.value).replace(str(file.parent), "DIR")


def test_manifests_add_to_the_pods_and_services_of_their_cluster(topology: Path):
    """Nothing is left to read: the Lab goes to the daemon as JSON."""
    lab = load(topology)

    cluster = lab.clusters[0]
    assert [pod.name for pod in cluster.pods] == ["web", "client"]
    assert [service.name for service in cluster.services] == ["web"]
    assert cluster.manifests == ()
    assert from_json(to_json(lab)) == lab


def test_a_script_names_its_manifests_in_the_same_way(topology: Path):
    """Its Lab equals the file's."""
    script = topology.with_name("small.py")
    script.write_text(
        "from testbed.eks.model import EksCluster\n"
        "from testbed.kubernetes.model import Node, Pod\n"
        "from testbed.lab import Lab\n"
        "from testbed.vpc.model import Subnet, Vpc\n"
        "a = Subnet('a', '10.0.1.0/24', 'us-west-2a')\n"
        "b = Subnet('b', '10.0.2.0/24', 'us-west-2b')\n"
        "nodes = [Node('node-1', 'a', 't3.small')]\n"
        "eks = EksCluster('eks', 'main', nodes, [Pod('web')], manifests=['app.yaml'])\n"
        "lab = Lab('small', [Vpc('main', ['10.0.0.0/16'], [a, b])], [eks])\n"
    )

    assert load(script) == load(topology)


def test_manifests_that_nobody_read_are_not_forgotten(topology: Path):
    """A Lab made in Python has them still; what it stands for is not known then."""
    lab = load(topology)
    unread = replace(
        lab, clusters=(replace(lab.clusters[0], manifests=("app.yaml",), pods=(), services=()),)
    )

    with pytest.raises(DescriptionError, match="manifests are not read"):
        allocate(unread)
    assert with_manifests(unread, str(topology)).clusters[0].pods[0].name == "client"


def test_a_manifest_that_is_not_there_is_told_where_it_is_named(topology: Path):
    topology.write_text(TOPOLOGY.replace("app.yaml", "ap.yaml"))

    assert error_of(topology) == (
        'DIR/small.yaml:17: clusters.eks.manifests[0]: "ap.yaml": no such file; did you mean'
        ' "app.yaml"?'
    )


WRONG = {  # what is replaced, by what; what is said
    "unknown node": (
        "nodeName: node-1",
        "nodeName: node-2",
        'DIR/app.yaml:6: spec.nodeName: there is no node "node-2"; did you mean "node-1"?',
    ),
    "name of a topology's pod": (
        "name: client",
        "name: web",
        'DIR/app.yaml:4: metadata.name: the name "web" is taken by clusters.eks.pods.web',
    ),
    "node port": (
        "  ports: [{port: 80}]",
        "  type: NodePort\n  ports: [{port: 80, nodePort: 80}]",
        "DIR/app.yaml:16: spec.ports[0].nodePort: provided port is not in the valid range. The"
        " range of valid ports is 30000-32767",
    ),
    "an ENIConfig of no subnet": (
        "apiVersion: v1\nkind: Service",
        "apiVersion: crd.k8s.amazonaws.com/v1alpha1\nkind: ENIConfig\n"
        "metadata: {name: pods}\nspec: {subnet: pod}\n---\napiVersion: v1\nkind: Service",
        'DIR/app.yaml:13: spec.subnet: there is no subnet "pod"; known: a, b',
    ),
    "unknown kind": (
        "kind: Service",
        "kind: Ingress",
        "DIR/app.yaml:11: kind Ingress is not enforced by the testbed; Pod, Deployment, Service,"
        " Endpoints, EndpointSlice, ENIConfig are",
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), WRONG.values(), ids=WRONG)
def test_a_mistake_in_a_manifest_is_told_at_its_line(
    topology: Path, old: str, new: str, said: str
):
    """Checks across the lab look at what manifests brought too."""
    topology.with_name("app.yaml").write_text(POD.replace(old, new))

    assert error_of(topology) == said


def test_a_cluster_of_kops_has_no_eni_configs():
    written = Objects(
        eni_configs=(EniConfig("pods", "a"),),
    )

    with pytest.raises(DescriptionError, match="ENIConfig is of EKS clusters"):
        with_objects(KopsCluster("kops", "main", (), kind="kops"), written)
