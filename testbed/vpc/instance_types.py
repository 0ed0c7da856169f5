"""What an instance type allows: how many ENIs, and how many IPv4 addresses on each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from testbed.errors import DescriptionError


@dataclass(frozen=True)
class InstanceLimits:
    """Limits of the default network card; `ipv4_per_eni` counts the primary address too."""

    enis: int
    ipv4_per_eni: int
    hypervisor: str  # nitro, xen, unknown
    bare_metal: bool

    @property
    def takes_prefixes(self) -> bool:
        """Whether its ENIs can have prefixes: nitro and bare metal (EC2 User Guide)."""
        return self.hypervisor == "nitro" or self.bare_metal


def limits(instance_type: str) -> InstanceLimits:
    """The limits of an instance type.

    Raises DescriptionError with the nearest spelling.
    Source: amazon-vpc-cni-k8s, pkg/vpc/vpc_ip_resource_limit.go (commit in the data file).
    """
    known = _table()
    if instance_type not in known:
        raise DescriptionError(_unknown(instance_type, known))
    row = known[instance_type]
    return InstanceLimits(
        row["enis"], row["ipv4_per_eni"], row["hypervisor"], bare_metal=row["bare_metal"]
    )


def _unknown(instance_type: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(instance_type, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "expected one like t3.small"
    return f"there is no instance type {instance_type!r}; {hint}"


@cache
def _table() -> Mapping[str, Any]:
    """Read at the first question and kept: 230 kB, 4 ms."""
    text = files("testbed.vpc").joinpath("instance-types.json").read_text(encoding="utf-8")
    return {name: row for name, row in json.loads(text).items() if not name.startswith("_")}
