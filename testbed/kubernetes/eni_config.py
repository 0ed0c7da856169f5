"""ENIConfig: where ENIs for pods are, an object of its own kind in a cluster's API."""

from pydantic.dataclasses import dataclass

from testbed.description import STRICT

GROUP = "crd.k8s.amazonaws.com/v1alpha1"


@dataclass(frozen=True, config=STRICT)
class EniConfig:
    """Where the ENIs for pods are, where it is not their node's subnet (custom networking).

    subnet, security_groups: by their names or ids.  No groups: the node's.
    Source: amazon-vpc-cni-k8s, the custom resource eniconfigs.crd.k8s.amazonaws.com.
    """

    name: str
    subnet: str
    security_groups: tuple[str, ...] = ()
