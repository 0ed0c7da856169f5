"""What `curl http://localhost:61679` tells on a node, as Go marshals it, in both eras.

The reference's node: eth0 with pod-1's address and a free one, eth1 with pod-2's.
"""

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from testbed.eks.ipamd.introspection.datastore import HeldAddress, Introspection, StoredEni
from testbed.eks.ipamd.introspection.metrics import Metrics
from testbed.eks.ipamd.introspection.settings import ipamd_settings, network_settings
from testbed.eks.model import Profile
from testbed.eks.profiles import ERAS
from testbed.eks.render import example
from testbed.eks.rollout import with_settings

POD_1, FREE, POD_2 = map(IPv4Address, ("10.10.0.101", "10.10.0.103", "10.10.0.102"))
ZERO = "0001-01-01T00:00:00Z"


def node(profile: Profile, **env: str) -> Introspection:
    settings, era = with_settings(example(profile).cluster, None, env).env, ERAS[profile]
    return Introspection(
        profile=profile,
        eni_config="zone-a",
        eni_configs=(("zone-a", "pods-a", ("pods",)), ("b", "pods-b", ())),
        eni_config_keys=("k8s.amazonaws.com/eniConfig", "zone"),
        network=tuple(network_settings(settings, era)),
        ipamd=tuple(ipamd_settings(settings, era)),
        enis=(
            StoredEni("eni-1", 0, 254, "subnet-1", (POD_1, FREE)),
            StoredEni("eni-0", 1, 2, "subnet-1", (POD_2,)),
        ),
        pods=(
            HeldAddress(POD_1, "default", "pod-1", "c1"),
            HeldAddress(POD_2, "default", "pod-2", "c2"),
        ),
    )


def told(of: Introspection, path: str) -> Any:
    return json.loads(of.page(path).content)


def test_v1_5_tells_of_its_pools_and_pods() -> None:
    page = node("slides").page("/v1/enis")

    assert page.content == (
        '{"TotalIPs":3,"AssignedIPs":2,"ENIIPPools":{'
        '"eni-0":{"IsPrimary":false,"ID":"eni-0","DeviceNumber":2,"AssignedIPv4Addresses":1,'
        '"IPv4Addresses":{"10.10.0.102":{"Address":"10.10.0.102","Assigned":true,'
        f'"UnassignedTime":"{ZERO}"}}}}}},'
        '"eni-1":{"IsPrimary":true,"ID":"eni-1","DeviceNumber":0,"AssignedIPv4Addresses":1,'
        '"IPv4Addresses":{"10.10.0.101":{"Address":"10.10.0.101","Assigned":true,'
        f'"UnassignedTime":"{ZERO}"}},"10.10.0.103":{{"Address":"10.10.0.103","Assigned":false,'
        f'"UnassignedTime":"{ZERO}"}}}}}}}}}}'
    )
    assert told(node("slides"), "/v1/pods") == {
        "pod-1_default_c1": {"IP": "10.10.0.101", "DeviceNumber": 0},
        "pod-2_default_c2": {"IP": "10.10.0.102", "DeviceNumber": 2},
    }


def test_today_it_tells_of_ranges_by_network_card_and_of_no_container() -> None:
    """Whoever knows a container's id could release its address."""
    of = told(node("current"), "/v1/enis")

    assert (of["0"]["TotalIPs"], of["0"]["AssignedIPs"]) == (3, 2)
    assert list(of["0"]["ENIs"]) == ["eni-0", "eni-1"]
    assert of["0"]["ENIs"]["eni-0"] == {
        "ID": "eni-0",
        "IsPrimary": False,
        "IsTrunk": False,
        "IsEFA": False,
        "DeviceNumber": 1,
        "AvailableIPv4Cidrs": {
            "10.10.0.102/32": {
                "Cidr": {"IP": "10.10.0.102", "Mask": "/////w=="},
                "IPAddresses": {
                    "10.10.0.102": {
                        "Address": "10.10.0.102",
                        "IPAMKey": {"networkName": "aws-cni", "containerID": "", "ifName": ""},
                        "IPAMMetadata": {
                            "k8sPodNamespace": "default",
                            "k8sPodName": "pod-2",
                            "interfacesCount": 1,
                        },
                        "AssignedTime": ZERO,
                        "UnassignedTime": ZERO,
                    }
                },
                "IsPrefix": False,
                "AddressFamily": "4",
            }
        },
        "IPv6Cidrs": {},
        "IsExcludedForPodIPs": False,
        "RouteTableID": 2,
        "SubnetID": "subnet-1",
    }
    free = of["0"]["ENIs"]["eni-1"]["AvailableIPv4Cidrs"]["10.10.0.103/32"]
    assert free["IPAddresses"] == {}, "only what a pod has had is there"


def test_of_a_prefix_the_addresses_that_pods_have_are_told() -> None:
    prefix = IPv4Network("10.10.0.96/28")
    eni = StoredEni("eni-1", 0, 254, "subnet-1", prefixes=(prefix,))
    of = replace(node("current"), enis=(eni,))

    card = told(of, "/v1/enis")["0"]
    found = card["ENIs"]["eni-1"]["AvailableIPv4Cidrs"]["10.10.0.96/28"]
    assert (card["TotalIPs"], card["AssignedIPs"]) == (16, 2)
    assert found["Cidr"] == {"IP": "10.10.0.96", "Mask": "////8A=="}
    assert found["IsPrefix"] is True
    assert list(found["IPAddresses"]) == ["10.10.0.101", "10.10.0.102"]


def test_settings_are_told_by_their_names() -> None:
    """How ports are chosen is a number: 0 none, 1 hashrandom, 2 prng."""
    today = node(
        "current",
        AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS="192.168.0.0/16",
        AWS_VPC_K8S_CNI_RANDOMIZESNAT="none",
        WARM_IP_TARGET="2",
    )

    assert told(today, "/v1/networkutils-env-settings") == {
        "AWS_EXTERNAL_SERVICE_CIDRS": None,
        "AWS_VPC_CNI_NODE_PORT_SUPPORT": True,
        "AWS_VPC_ENI_MTU": 9001,
        "AWS_VPC_K8S_CNI_CONNMARK": 128,
        "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": ["192.168.0.0/16"],
        "AWS_VPC_K8S_CNI_EXTERNALSNAT": False,
        "AWS_VPC_K8S_CNI_RANDOMIZESNAT": 0,
        "AWS_VPC_K8S_CNI_VETHPREFIX": "eni",
    }
    assert told(today, "/v1/ipamd-env-settings") == {
        "AWS_MANAGE_ENIS_NON_SCHEDULABLE": False,
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": False,
        "ENABLE_SUBNET_DISCOVERY": True,
        "WARM_ENI_TARGET": 1,
        "WARM_IP_TARGET": 2,
    }
    assert list(told(node("slides"), "/v1/networkutils-env-settings").items()) == [
        ("AWS_VPC_CNI_NODE_PORT_SUPPORT", True),
        ("AWS_VPC_K8S_CNI_CONNMARK", 128),
        ("AWS_VPC_K8S_CNI_EXTERNALSNAT", False),
        ("AWS_VPC_K8S_CNI_RANDOMIZESNAT", 1),
    ]


def test_the_node_s_eni_config_is_named_and_v1_5_tells_of_all() -> None:
    assert node("current").page("/v1/eni-configs").content == '"zone-a"'
    assert told(node("slides"), "/v1/eni-configs") == {
        "ENI": {
            "b": {"securityGroups": None, "subnet": "pods-b"},
            "zone-a": {"securityGroups": ["pods"], "subnet": "pods-a"},
        },
        "MyENI": "zone-a",
        "EniConfigAnnotationDef": "k8s.amazonaws.com/eniConfig",
        "EniConfigLabelDef": "zone",
    }


@pytest.mark.parametrize(("profile", "pods"), [("slides", True), ("current", False)])
def test_any_other_path_lists_those_there_are(profile: Profile, pods: bool) -> None:
    """/v1/pods went with v1.7."""
    for path in ("/", "/v2"):
        known = told(node(profile), path)["AvailableCommands"]
        assert "/v1/enis" in known
        assert ("/v1/pods" in known) is pods


def test_metrics_are_prometheus_text() -> None:
    today = Metrics(node("current"), 3, 9, "nftables")

    assert today.page("/metrics").content.splitlines() == [
        "# TYPE awscni_assigned_ip_addresses gauge",
        "awscni_assigned_ip_addresses 2",
        "# TYPE awscni_assigned_ip_per_cidr gauge",
        'awscni_assigned_ip_per_cidr{cidr="10.10.0.101/32"} 1',
        'awscni_assigned_ip_per_cidr{cidr="10.10.0.102/32"} 1',
        "# TYPE awscni_assigned_ip_per_eni gauge",
        'awscni_assigned_ip_per_eni{eni="eni-0"} 1',
        'awscni_assigned_ip_per_eni{eni="eni-1"} 1',
        "# TYPE awscni_connmark_backend gauge",
        'awscni_connmark_backend{backend="nftables"} 1',
        "# TYPE awscni_eni_allocated gauge",
        "awscni_eni_allocated 2",
        "# TYPE awscni_eni_max gauge",
        "awscni_eni_max 3",
        "# TYPE awscni_ip_max gauge",
        "awscni_ip_max 9",
        "# TYPE awscni_total_ip_addresses gauge",
        "awscni_total_ip_addresses 3",
        "# TYPE awscni_total_ipv4_prefixes gauge",
        "awscni_total_ipv4_prefixes 0",
    ]
    assert today.page("/").status == "404 Not Found"
    assert "per_eni" not in Metrics(node("slides"), 3, 9, "").page("/metrics").content
