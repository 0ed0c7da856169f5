"""`python -m bench.runs.rendering SERVICES ENDPOINTS`: manifests become rules, in both eras."""

import gc
import json
import sys
from ipaddress import IPv4Address, IPv4Network

from bench.meter import Numbers, used
from testbed.kubernetes.kube_proxy import ERAS, KubeProxy
from testbed.kubernetes.manifests import parse
from testbed.services.kube_proxy.from_manifests import ports_of
from testbed.services.kube_proxy.rules import ProxyNode
from testbed.services.kube_proxy.text import node_text

PODS = IPv4Network("10.0.0.0/8")
NODE = "node-1"


def measure(services: int, endpoints: int) -> Numbers:
    """Seconds of both eras, from objects that are read already to the text of a node."""
    text = "".join(_service(number, endpoints) for number in range(services))
    with used() as reading:
        objects = parse({"many.yaml": text})
    gc.freeze()  # as `testbed render` does
    numbers = {"read_s": reading.seconds}
    for era in ERAS:
        with used() as rendering:
            rules = node_text(ports_of(objects, era), KubeProxy(era=era), ProxyNode(name=NODE))
        if rules.count("-j DNAT") != services * endpoints:
            raise RuntimeError(f"era {era}: not a rule for each endpoint")
        numbers[f"{era}_s"] = rendering.seconds
    return numbers


def _service(number: int, endpoints: int) -> str:
    first = number * endpoints + 1
    addresses = (PODS[first + i] for i in range(endpoints))
    return f"""\
---
apiVersion: v1
kind: Service
metadata: {{name: app-{number}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: app-{number}}}
subsets:
- addresses: [{", ".join(map(_address, addresses))}]
  ports: [{{name: http, port: 8080}}]
"""


def _address(ip: IPv4Address) -> str:
    return f"{{ip: {ip}, nodeName: {NODE}}}"


if __name__ == "__main__":
    json.dump(measure(int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
