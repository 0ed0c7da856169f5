"""The fields of ENIConfig, which has no namespace.

Source: amazon-vpc-cni-k8s, pkg/apis/crd/v1alpha1/eniconfig_types.go.
"""

from typing import Literal

from pydantic.dataclasses import dataclass

from testbed.kubernetes.eni_config import EniConfig
from testbed.kubernetes.manifests.fields import WRITTEN, Ignored, Metadata


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class EniConfigSpec:
    """A subnet and security groups, by their names or ids."""

    subnet: str
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class EniConfigObject:
    """Where the ENIs for pods of some nodes are."""

    api_version: Literal["crd.k8s.amazonaws.com/v1alpha1"]
    kind: Literal["ENIConfig"]
    metadata: Metadata
    spec: EniConfigSpec
    status: Ignored = None


def eni_config(written: EniConfigObject) -> EniConfig:
    """The ENIConfig as the testbed has it."""
    spec = written.spec
    return EniConfig(written.metadata.name, spec.subnet, spec.security_groups)
