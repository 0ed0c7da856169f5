"""A word of a topology or a manifest stays a word: no line of a program's configuration begins.

SECURITY.md: a topology in YAML only describes.  dnsmasq's `conf-script=` would run a program.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.allocations import allocate
from testbed.daemon.changes.manifests import put
from testbed.errors import DescriptionError, UsageError
from testbed.lab import Lab
from testbed.load import parse
from testbed.net.show import show
from testbed.plan import plan, programs, resolvers
from tests.inputs.manifests import TOPOLOGY
from tests.inputs.mutations import TOPOLOGIES, Place, places

LINE = "conf-script=/bin/evil"
TAILS = (f"\n{LINE}", f'"; {LINE}', f",{LINE}")
MANIFESTS = list(
    yaml.safe_load_all("""\
apiVersion: v1
kind: Service
metadata:
  name: shop
  namespace: default
  annotations: {service.beta.kubernetes.io/aws-load-balancer-internal: "true"}
spec:
  type: LoadBalancer
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: v1
kind: Service
metadata:
  name: network
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-type: external
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: http
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-path: /up
spec:
  type: LoadBalancer
  selector: {app: shop}
  ports: [{port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: example.com}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, ports: [{name: a, port: 1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: pod, namespace: tools, labels: {app: shop}}
spec:
  hostname: one
  subdomain: headless
  containers: [{name: c, ports: [{name: web, containerPort: 8080}]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: slice, labels: {kubernetes.io/service-name: headless}}
addressType: IPv4
endpoints: [{addresses: [10.0.1.9], hostname: db-0, nodeName: node-1}]
ports: [{name: a, port: 1}]
""")
)


def words(tree: Any) -> Iterator[Place]:
    """The places of texts: one of each kind."""
    seen = set()
    for place in places(tree)[1:]:
        kind = (place[0], *[step for step in place[-2:] if isinstance(step, str)][-1:])
        if isinstance(reduce(getitem, place, tree), str) and kind not in seen:
            seen.add(kind)
            yield place


def assert_no_line(tree: Any, tail: str, load: Callable[[Any], Lab]) -> None:
    """Whatever a text is lengthened by: refused, or nowhere in what programs and kernels read."""
    for place in words(tree):
        changed = deepcopy(tree)
        reduce(getitem, place[:-1], changed)[place[-1]] += tail
        try:
            lab = load(changed)
        except (DescriptionError, UsageError):
            continue
        assert not [text for text in _texts(lab) if LINE in text], (place, tail)


def _texts(lab: Lab) -> Iterator[str]:
    """All that is written for programs to read."""
    allocations = allocate(lab)
    for program in programs(lab, allocations):
        yield from (*program.argv, *(text for _, text in program.files))
    yield from resolvers(lab, allocations).values()
    yield from map(show, plan(lab, allocations))


@pytest.mark.parametrize("file", sorted(TOPOLOGIES.glob("*.yaml")), ids=lambda file: file.stem)
def test_no_word_of_a_topology_becomes_a_line(file: Path) -> None:
    tree = yaml.safe_load(file.read_text())

    assert_no_line(tree, TAILS[0], lambda changed: parse(yaml.safe_dump(changed), str(file)))


@pytest.mark.parametrize("tail", TAILS)
def test_no_word_of_a_manifest_becomes_a_line(tail: str) -> None:
    lab = parse(TOPOLOGY, "lab.yaml")

    def load(changed: Sequence[Any]) -> Lab:
        return put(lab, {"app.yaml": yaml.safe_dump_all(changed)})[0]

    assert load(MANIFESTS), "premise"
    assert_no_line(MANIFESTS, tail, load)
