"""How the CNI's eras differ: one row each, read wherever behaviour depends on the release."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from testbed.eks.model import Profile

RandomPort = Literal["prng", "hashrandom", "none"]


@dataclass(frozen=True, kw_only=True)
class Era:
    """What one release of amazon-vpc-cni-k8s does where another does differently."""

    release: str

    # wiring
    from_pod_per_cidr: bool  # rule 1536 once per VPC range `to RANGE`, or once for everything
    marks_outbound: bool  # connmark in nat PREROUTING sends what will be SNATed out of eth0
    external_service_cidrs: bool  # AWS_EXTERNAL_SERVICE_CIDRS is known: rule 1535
    rule_for_eni_address: bool  # rule 32765: the ENI's own address by the ENI's own table
    loose_filter_always: bool  # eth0's rp_filter=2 also without node-port support
    early_demux_written: bool  # the init container writes net.ipv4.tcp_early_demux
    mtu_settings: bool  # AWS_VPC_ENI_MTU and POD_MTU are known
    checks_environment: bool  # some values keep the container from starting
    plugin_settings: bool  # the configuration file tells the plugin its MTU, logs and more
    one_snat_chain: bool  # exempt ranges RETURN from one chain, or each has a chain of its own
    branch_enis: bool  # rules mention `vlan+`, the links of pods with an ENI of their own
    veth_prefix_in_mangle: bool  # restore-mark matches the veth prefix, or always `eni+`
    veth_ipv6: Mapping[str, str]  # net.ipv6.conf of a pod's host veth, written before it is up
    random_port: RandomPort  # what an unset AWS_VPC_K8S_CNI_RANDOMIZESNAT means

    # ipamD
    minimum_ip_target: bool  # MINIMUM_IP_TARGET is known
    caps_at_max_pods: bool  # never more addresses than pods
    refills_empty_pool: bool  # WARM_ENI_TARGET=0 still means one address for the next pod
    fills_enis: bool  # tops an ENI up to its limit whatever is missing, and trims afterwards
    creates_with_addresses: bool  # CreateNetworkInterface asks for the secondary ones too
    counts_again: bool  # a pass goes by fresh numbers when it looks for an ENI to free
    backs_off: bool  # asks for nothing for two minutes after a subnet was full
    enis_cool_down: bool  # an ENI is not freed for a minute after a pod left it
    cooldown_setting: bool  # IP_COOLDOWN_PERIOD is known
    delegates_prefixes: bool  # ENABLE_PREFIX_DELEGATION and WARM_PREFIX_TARGET are known
    discovers_subnets: bool  # ENABLE_SUBNET_DISCOVERY is known
    external_eni_config: bool  # a label of its own says a node's ENIConfig before all others
    reads_ranges_once: bool  # the VPC's ranges at its start, or every 30 s
    checkpoints: bool  # writes and reads a file of assigned addresses; else asks the API server
    prescales: bool  # the pool is filled before the node becomes Ready
    trusts_metadata: bool  # reconciling believes IMDS; else EC2 is asked where they differ
    imds_only: bool  # DISABLE_NETWORK_RESOURCE_PROVISIONING, ENABLE_IMDS_ONLY_MODE are known
    leaves_enis: bool  # tags and kinds say which of the instance's ENIs are not ipamD's
    stands_still: bool  # changes no ENI while it ends or its node is cordoned


ERAS: Mapping[Profile, Era] = MappingProxyType(
    {
        "slides": Era(
            release="v1.5.7",
            from_pod_per_cidr=True,
            marks_outbound=False,
            external_service_cidrs=False,
            rule_for_eni_address=False,
            loose_filter_always=False,
            early_demux_written=False,
            mtu_settings=False,
            checks_environment=False,
            plugin_settings=False,
            one_snat_chain=False,
            branch_enis=False,
            veth_prefix_in_mangle=False,
            veth_ipv6=MappingProxyType({"accept_ra": "0", "accept_redirects": "0"}),
            random_port="hashrandom",
            minimum_ip_target=False,
            caps_at_max_pods=False,
            refills_empty_pool=False,
            fills_enis=True,
            creates_with_addresses=False,
            counts_again=True,
            backs_off=False,
            enis_cool_down=True,
            cooldown_setting=False,
            delegates_prefixes=False,
            discovers_subnets=False,
            external_eni_config=False,
            reads_ranges_once=True,
            checkpoints=False,
            prescales=False,
            trusts_metadata=True,
            imds_only=False,
            leaves_enis=False,
            stands_still=False,
        ),
        "current": Era(
            release="v1.23.1",
            from_pod_per_cidr=False,
            marks_outbound=True,
            external_service_cidrs=True,
            rule_for_eni_address=True,
            loose_filter_always=True,
            early_demux_written=True,
            mtu_settings=True,
            checks_environment=True,
            plugin_settings=True,
            one_snat_chain=True,
            branch_enis=True,
            veth_prefix_in_mangle=True,
            veth_ipv6=MappingProxyType(
                {"accept_ra": "0", "accept_redirects": "1", "forwarding": "0"}
            ),
            random_port="prng",
            minimum_ip_target=True,
            caps_at_max_pods=True,
            refills_empty_pool=True,
            fills_enis=False,
            creates_with_addresses=True,
            counts_again=False,
            backs_off=True,
            enis_cool_down=False,
            cooldown_setting=True,
            delegates_prefixes=True,
            discovers_subnets=True,
            external_eni_config=True,
            reads_ranges_once=False,
            checkpoints=True,
            prescales=True,
            trusts_metadata=False,
            imds_only=True,
            leaves_enis=True,
            stands_still=True,
        ),
    }
)
