"""The environment of the container `aws-node`: the CNI's settings under their real names."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from testbed.description import Cidr, Whole

RandomizeSnat = Literal["", "prng", "hashrandom", "none"]  # empty: the profile's default
Mtu = Annotated[Whole, Field(ge=576, le=9001)]


def _any_base(given: Any) -> Any:
    """`0x80` as the number it is; a text that is no number is left to be refused."""
    if isinstance(given, str) and re.fullmatch(r"0[xX][0-9a-fA-F]+", given):
        return int(given, 16)
    return given


def _list(given: Any) -> Any:
    """A comma separated list, as environment variables hold them."""
    if not isinstance(given, str):
        return given
    return [part.strip() for part in given.split(",") if part.strip()]


Cidrs = Annotated[
    tuple[Cidr, ...], BeforeValidator(_list, json_schema_input_type=str | tuple[Cidr, ...])
]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", populate_by_name=True))
class CniSettings:
    """The environment of the `aws-node` container; a default is what its manifest sets.

    mtu in bytes.  Source: amazon-vpc-cni-k8s v1.23, README, "CNI Configuration Variables".
    """

    warm_eni_target: Annotated[Whole, Field(alias="WARM_ENI_TARGET", ge=0)] = 1
    warm_ip_target: Annotated[Whole, Field(alias="WARM_IP_TARGET", ge=0)] = 0
    minimum_ip_target: Annotated[Whole, Field(alias="MINIMUM_IP_TARGET", ge=0)] = 0
    max_eni: Annotated[Whole, Field(alias="MAX_ENI", ge=0)] = 0  # 0: what the instance type has
    external_snat: Annotated[bool, Field(alias="AWS_VPC_K8S_CNI_EXTERNALSNAT")] = False
    exclude_snat_cidrs: Annotated[Cidrs, Field(alias="AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS")] = ()
    randomize_snat: Annotated[RandomizeSnat, Field(alias="AWS_VPC_K8S_CNI_RANDOMIZESNAT")] = ""
    node_port_support: Annotated[bool, Field(alias="AWS_VPC_CNI_NODE_PORT_SUPPORT")] = True
    veth_prefix: Annotated[
        str,
        Field(
            alias="AWS_VPC_K8S_CNI_VETHPREFIX", min_length=1, max_length=4, pattern=r"^[\w.-]+$"
        ),
    ] = "eni"
    eni_mtu: Annotated[Mtu, Field(alias="AWS_VPC_ENI_MTU")] = 9001
    pod_mtu: Annotated[Mtu | None, Field(alias="POD_MTU")] = None
    connmark: Annotated[
        Whole,
        BeforeValidator(_any_base),
        Field(alias="AWS_VPC_K8S_CNI_CONNMARK", gt=0, le=0xFFFFFFFF),
    ] = 0x80
