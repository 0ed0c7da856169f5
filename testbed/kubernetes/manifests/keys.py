"""Where in a manifest stands what a topology has under its own keys.

ports[0].nodePort          spec.ports[0].nodePort              of a Service
containers.app.ports[1]    spec.template.spec.containers[0]…   of a Deployment's pod
"""

from collections.abc import Mapping
from typing import Any

from testbed.description.problem import Path
from testbed.kubernetes.load_balancers.annotations import PREFIX

NAME: Path = ("metadata", "name")
TIMEOUT: Path = ("metadata", "annotations", f"{PREFIX}healthcheck-timeout")
METADATA: Mapping[str, Path] = {
    key: ("metadata", key) for key in ("annotations", "labels", "namespace")
}
# By kind: the topology's keys that are not fields of `spec` by the same name
PLACES: Mapping[str, Mapping[str, Path]] = {
    "Service": {
        **METADATA,
        "clusterIp": ("spec", "clusterIP"),
        "loadBalancerIPs": ("status", "loadBalancer", "ingress"),
    },
    "Pod": METADATA,
    "ENIConfig": METADATA,
    "EndpointSlice": {**METADATA, "addresses": ("endpoints",), "ports": ("ports",)},
}


def written(kind: str, data: Mapping[str, Any], path: Path) -> Path:
    """The path in an object of what is at a path in the thing it became; at worst its name.

    data: the object.
    """
    match kind, path:
        case _, ():
            return NAME
        case "Deployment", (str(first), *_) if first not in METADATA:
            template = data.get("spec", {}).get("template", {})
            return ("spec", "template", *written("Pod", template, path))
        case "Deployment", _:
            return written("Pod", data, path)
        case "Pod", ("node", *_):
            return ("spec", "nodeName")
        case "Pod", ("containers", str(name), *rest):
            places = _places(data, name)
            return ("spec", "containers", *places[:1], *(rest if places else ()))
        case "Service", ("healthCheck", *_):
            return TIMEOUT
        case "Endpoints", ("addresses" | "ports", *_):
            return ("subsets",)
    key, *rest = path
    return (*PLACES.get(kind, METADATA).get(str(key), ("spec", key)), *rest)


def _places(pod: Mapping[str, Any], name: str) -> list[int]:
    """Where a container is in its list; of two pods of one name it may be the other one's."""
    containers = pod.get("spec", {}).get("containers", [])
    return [i for i, one in enumerate(containers) if one.get("name") == name]
