"""Topology hints: which zones an endpoint is meant for, and when kube-proxy keeps to that.

Source: kubernetes v1.30, pkg/proxy/topology.go and pkg/proxy/serviceport.go; since 1.31
trafficDistribution asks for it too (staging/src/k8s.io/endpointslice/trafficdist).
"""

from collections.abc import Mapping

MODE = "service.kubernetes.io/topology-mode"
OLD_MODE = "service.kubernetes.io/topology-aware-hints"  # until 1.27; MODE comes first
ANNOTATIONS = (MODE, OLD_MODE)


def asked(annotations: Mapping[str, str]) -> str:
    """The annotation that counts; empty for none."""
    return next((name for name in ANNOTATIONS if name in annotations), "")


def is_automatic(annotations: Mapping[str, str]) -> bool:
    """Whether a Service asks for hints by how many CPUs each zone has."""
    return annotations.get(asked(annotations)) in ("Auto", "auto")
