"""The environment of the container `aws-node`: the CNI's settings under their real names.

What the real CNI does not understand it logs, and takes its default: so do we, with a warning.
What keeps the real container from starting (an MTU, a prefix) is an error.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from testbed.description import Cidr, Whole, refusal
from testbed.description.problem import found
from testbed.eks.go_values import LARGEST_MARK, boolean, mark, target
from testbed.errors import IgnoredSetting

RandomizeSnat = Literal["", "prng", "hashrandom", "none"]  # empty: the profile's default
Mtu = Annotated[Whole, Field(ge=576, le=9001)]

FILE = r"/\.*[^/.\x00-\x1f][^/\x00-\x1f]*$"  # whose last part is a file's name: `..` is none
LOG = r"^[^\x00]*$"  # a path, or the name of a stream


def _or_default(read: Callable[[str], Any], code_default: Any = None) -> BeforeValidator:
    """What `read` makes of a text; where it raises ValueError, the default and a warning.

    code_default: what the program takes then, where its manifest sets something else.
    """

    def validate(given: Any, info: ValidationInfo) -> Any:
        if isinstance(given, bool) or not isinstance(given, str | int):
            return given
        field = _field(info)
        default = field.default if code_default is None else code_default
        try:
            return read(str(given)) if given != "" else default
        except ValueError as error:
            _warn(field, error, given, "takes its default" + (f", {default}" if default else ""))
            return default

    return BeforeValidator(validate)


def _field(info: ValidationInfo) -> FieldInfo:
    fields: Mapping[str, FieldInfo] = getattr(CniSettings, "__pydantic_fields__", {})
    return fields[str(info.field_name)]


def _warn(field: FieldInfo, expected: object, given: object, instead: str) -> None:
    message = f"{field.alias}: expected {expected}, found {found(given)}; the CNI {instead}"
    warnings.warn(message, IgnoredSetting, stacklevel=2)


def _randomness(text: str) -> str:
    if text not in ("prng", "hashrandom", "none"):
        raise ValueError('"prng", "hashrandom" or "none"')
    return text


def _cidrs(given: Any, info: ValidationInfo) -> Any:
    """A comma separated list: what is no IPv4 range is skipped, bits of a host are cleared."""
    if not isinstance(given, str):
        return given
    return tuple(_ranges(given, _field(info)))


def _ranges(text: str, field: FieldInfo) -> Iterator[IPv4Network]:
    for item in filter(None, text.split(",")):
        cidr = item.strip()
        try:
            network = ip_network(cidr, strict=False) if re.search(r"/\d+$", cidr) else None
        except ValueError:
            network = None
        if isinstance(network, IPv4Network):
            yield network
        else:
            _warn(field, "an IPv4 range", cidr, "skips it")


def _plugin_log(given: Any) -> Any:
    if given == "stdout":
        raise refusal("the plugin's standard output is its answer to the container runtime")
    return given


def _prefix(given: Any) -> Any:
    return "eni" if given == "" else given  # the plugin's own default


def _policy_mode(given: Any) -> Any:
    """Any spelling; with `strict` the agent keeps from a pod what no policy allows."""
    mode = given.lower() if isinstance(given, str) else given
    if mode not in ("", "none", "standard", "strict"):
        raise refusal(f'expected "none", "standard" or "strict", found {found(given)}')
    if mode == "strict":
        raise refusal("network policies are not imitated by the testbed, and `strict` needs them")
    return mode


def _only(imitated: bool, what: str) -> AfterValidator:
    """A switch that has one position here."""

    def validate(given: bool) -> bool:
        if given is not imitated:
            raise refusal(f"{what} not imitated by the testbed")
        return given

    return AfterValidator(validate)


Boolean = Annotated[bool, _or_default(boolean)]
Target = Annotated[Whole, Field(ge=0), _or_default(target)]
Accepted = str | int | float | bool | None  # a variable that says nothing about a network
Cidrs = Annotated[
    tuple[Cidr, ...], BeforeValidator(_cidrs, json_schema_input_type=str | tuple[Cidr, ...])
]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", populate_by_name=True))
class CniSettings:
    """The environment of the `aws-node` container; a default is what its manifest sets.

    mtu in bytes.  Source: amazon-vpc-cni-k8s v1.23, README, "CNI Configuration Variables".
    """

    # how many addresses ipamD keeps for pods, and where from
    warm_eni_target: Annotated[Target, Field(alias="WARM_ENI_TARGET")] = 1
    warm_ip_target: Annotated[Target, Field(alias="WARM_IP_TARGET")] = 0
    minimum_ip_target: Annotated[Target, Field(alias="MINIMUM_IP_TARGET")] = 0
    warm_prefix_target: Annotated[
        Whole, Field(ge=0), _or_default(target, 0), Field(alias="WARM_PREFIX_TARGET")
    ] = 1
    max_eni: Annotated[Target, Field(alias="MAX_ENI")] = 0  # 0: what the instance type has
    ip_cooldown_period: Annotated[Whole, Field(ge=0, alias="IP_COOLDOWN_PERIOD")] = 30  # seconds
    prefix_delegation: Annotated[Boolean, Field(alias="ENABLE_PREFIX_DELEGATION")] = False
    subnet_discovery: Annotated[Boolean, Field(alias="ENABLE_SUBNET_DISCOVERY")] = True
    manage_untagged: Annotated[Boolean, Field(alias="MANAGE_UNTAGGED_ENI")] = True
    manage_cordoned: Annotated[Boolean, Field(alias="AWS_MANAGE_ENIS_NON_SCHEDULABLE")] = False
    custom_networking: Annotated[Boolean, Field(alias="AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG")] = (
        False
    )
    eni_config_annotation: Annotated[str, Field(alias="ENI_CONFIG_ANNOTATION_DEF")] = ""
    eni_config_label: Annotated[str, Field(alias="ENI_CONFIG_LABEL_DEF")] = ""
    cluster_name: Annotated[str, Field(alias="CLUSTER_NAME")] = ""
    disable_provisioning: Annotated[
        Boolean, Field(alias="DISABLE_NETWORK_RESOURCE_PROVISIONING")
    ] = False
    imds_only: Annotated[Boolean, Field(alias="ENABLE_IMDS_ONLY_MODE")] = False

    # what leaves by which ENI, with which address
    external_snat: Annotated[Boolean, Field(alias="AWS_VPC_K8S_CNI_EXTERNALSNAT")] = False
    exclude_snat_cidrs: Annotated[Cidrs, Field(alias="AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS")] = ()
    external_service_cidrs: Annotated[Cidrs, Field(alias="AWS_EXTERNAL_SERVICE_CIDRS")] = ()
    randomize_snat: Annotated[
        RandomizeSnat, _or_default(_randomness), Field(alias="AWS_VPC_K8S_CNI_RANDOMIZESNAT")
    ] = ""
    node_port_support: Annotated[Boolean, Field(alias="AWS_VPC_CNI_NODE_PORT_SUPPORT")] = True
    connmark: Annotated[
        Whole,
        Field(gt=0, le=LARGEST_MARK),
        _or_default(mark),
        Field(alias="AWS_VPC_K8S_CNI_CONNMARK"),
    ] = 0x80

    # links and the node's kernel
    veth_prefix: Annotated[
        str,
        Field(
            alias="AWS_VPC_K8S_CNI_VETHPREFIX", min_length=1, max_length=4, pattern=r"^[\w.-]+$"
        ),
        BeforeValidator(_prefix),
    ] = "eni"
    eni_mtu: Annotated[Mtu, Field(alias="AWS_VPC_ENI_MTU")] = 9001
    pod_mtu: Annotated[Mtu | None, Field(alias="POD_MTU")] = None
    disable_tcp_early_demux: Annotated[Boolean, Field(alias="DISABLE_TCP_EARLY_DEMUX")] = False
    disable_pod_v6: Annotated[Boolean, Field(alias="DISABLE_POD_V6")] = False
    bandwidth_plugin: Annotated[Boolean, Field(alias="ENABLE_BANDWIDTH_PLUGIN")] = False
    pod_security_group_mode: Annotated[
        str, Field(alias="POD_SECURITY_GROUP_ENFORCING_MODE", min_length=1)
    ] = "strict"
    network_policy_mode: Annotated[
        str, Field(alias="NETWORK_POLICY_ENFORCING_MODE"), BeforeValidator(_policy_mode)
    ] = "standard"

    # what is imitated in one position only
    ipv4: Annotated[
        Boolean, _only(True, "clusters without IPv4 are"), Field(alias="ENABLE_IPv4")
    ] = True
    ipv6: Annotated[Boolean, _only(False, "IPv6 clusters are"), Field(alias="ENABLE_IPv6")] = False
    ipv6_egress: Annotated[
        Boolean, _only(False, "IPv6 of pods is"), Field(alias="ENABLE_V6_EGRESS")
    ] = False
    multi_nic: Annotated[
        Boolean, _only(False, "further network cards are"), Field(alias="ENABLE_MULTI_NIC")
    ] = False
    pod_eni: Annotated[
        Boolean, _only(False, "pods with an ENI of their own are"), Field(alias="ENABLE_POD_ENI")
    ] = False

    # what ipamD tells of itself, and what it keeps for its next start
    backing_store: Annotated[str, Field(alias="AWS_VPC_K8S_CNI_BACKING_STORE", pattern=FILE)] = (
        "/var/run/aws-node/ipam.json"
    )
    disable_introspection: Annotated[Boolean, Field(alias="DISABLE_INTROSPECTION")] = False
    disable_metrics: Annotated[Boolean, Field(alias="DISABLE_METRICS")] = False
    introspection_address: Annotated[
        str, Field(alias="INTROSPECTION_BIND_ADDRESS", min_length=1)
    ] = "127.0.0.1:61679"

    # logs: ipamD's own, and the plugin's, which are in the CNI's configuration file
    log_file: Annotated[str, Field(alias="AWS_VPC_K8S_CNI_LOG_FILE", pattern=LOG)] = (
        "/host/var/log/aws-routed-eni/ipamd.log"
    )
    log_level: Annotated[str, Field(alias="AWS_VPC_K8S_CNI_LOGLEVEL")] = "DEBUG"
    plugin_log_file: Annotated[
        str, BeforeValidator(_plugin_log), Field(alias="AWS_VPC_K8S_PLUGIN_LOG_FILE", pattern=LOG)
    ] = "/var/log/aws-routed-eni/plugin.log"
    plugin_log_level: Annotated[str, Field(alias="AWS_VPC_K8S_PLUGIN_LOG_LEVEL")] = "DEBUG"
    egress_v6_log_file: Annotated[str, Field(alias="AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE")] = (
        "/var/log/aws-routed-eni/egress-v6-plugin.log"
    )

    # manifests have them, and a node's network is the same with each of their values
    additional_eni_tags: Annotated[Accepted, Field(alias="ADDITIONAL_ENI_TAGS")] = None
    annotate_pod_ip: Annotated[Accepted, Field(alias="ANNOTATE_POD_IP")] = None
    cluster_endpoint: Annotated[Accepted, Field(alias="CLUSTER_ENDPOINT")] = None
    cni_version: Annotated[Accepted, Field(alias="VPC_CNI_VERSION")] = None
    configure_rp_filter: Annotated[Accepted, Field(alias="AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER")] = (
        None  # v1.7 to v1.12
    )
    disable_leaked_eni_cleanup: Annotated[Accepted, Field(alias="DISABLE_LEAKED_ENI_CLEANUP")] = (
        None
    )
    ec2_endpoint: Annotated[Accepted, Field(alias="AWS_EC2_ENDPOINT")] = None
    egress_v4_log_file: Annotated[
        Accepted, Field(alias="AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE")
    ] = None
    enable_nftables: Annotated[Accepted, Field(alias="ENABLE_NFTABLES")] = None  # v1.12.1, v1.13
    host_cni_bin_path: Annotated[Accepted, Field(alias="HOST_CNI_BIN_PATH")] = None
    host_cni_conf_dir_path: Annotated[Accepted, Field(alias="HOST_CNI_CONFDIR_PATH")] = None
    http_timeout: Annotated[Accepted, Field(alias="HTTP_TIMEOUT")] = None
    ipv4_egress: Annotated[Accepted, Field(alias="ENABLE_V4_EGRESS")] = None  # IPv6 clusters
    node_name: Annotated[Accepted, Field(alias="MY_NODE_NAME")] = None
    pod_name: Annotated[Accepted, Field(alias="MY_POD_NAME")] = None
    vpc_id: Annotated[Accepted, Field(alias="VPC_ID")] = None  # in the manifest of EKS' add-on
