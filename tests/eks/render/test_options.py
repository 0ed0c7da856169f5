"""`testbed render`: what its options add, and what it refuses."""

from dataclasses import replace

import pytest

from testbed.description.ports import Port
from testbed.eks.render import example, render, to_json, to_text
from testbed.eks.rollout import with_settings
from testbed.errors import DescriptionError, UsageError
from testbed.kubernetes.model import Container
from tests.eks.render.rendered import rendered, rules


def test_variables_of_the_cni_take_the_place_of_the_topology_s() -> None:
    assert "1024: from all fwmark 0x40/0x40 lookup main" in rules(
        "current", AWS_VPC_K8S_CNI_CONNMARK="0x40"
    )
    external = rendered("slides", AWS_VPC_K8S_CNI_EXTERNALSNAT="true")
    assert "1536:\tfrom 10.10.0.102 lookup 2" in external.rules
    assert "SNAT --to-source" not in external.iptables


def test_as_json_it_has_the_same_lines() -> None:
    value = to_json(rendered("current"))

    assert list(value) == [
        "node",
        "profile",
        "rules",
        "tables",
        "links",
        "addresses",
        "sysctls",
        "iptables",
        "nftables",
        "conflist",
        "pod",
    ]
    assert value["tables"]["2"][0] == "default via 10.10.0.1 dev eth1"
    assert value["pod"]["name"] == "pod-1"


def test_with_the_nftables_backend_the_marks_are_in_its_own_table() -> None:
    wired = example("current")
    by_nft = with_settings(wired.cluster, connmark_backend="nftables")
    found = render(replace(wired, cluster=by_nft))

    assert "CONNMARK-CHAIN" not in found.iptables
    assert "-j AWS-SNAT-CHAIN-0" in found.iptables
    assert found.nftables.splitlines() == [
        "table ip aws-cni {",
        "\tchain nat-prerouting {",
        "\t\ttype nat hook prerouting priority dstnat + 10; policy accept;",
        "\t\tfib daddr type local return",
        '\t\tiifname "eni*" counter jump snat-mark',
        "\t\tcounter meta mark set ct mark & 0x00000080",
        "\t}",
        "",
        "\tchain snat-mark {",
        "\t\tcounter ip daddr 10.10.0.0/16 return",
        "\t\tcounter ct mark set ct mark | 0x00000080",
        "\t}",
        "}",
    ]
    assert "# node-1: nft -s list ruleset\ntable ip aws-cni {" in to_text(found)
    assert not rendered("current").nftables


def test_the_configuration_file_has_the_plugin_s_settings() -> None:
    today = rendered(
        "current",
        AWS_VPC_K8S_CNI_VETHPREFIX="pod",
        AWS_VPC_ENI_MTU="1500",
        AWS_VPC_K8S_PLUGIN_LOG_LEVEL="ERROR",
        AWS_VPC_K8S_CNI_RANDOMIZESNAT="none",
    ).conflist
    then = rendered("slides", AWS_VPC_K8S_CNI_VETHPREFIX="pod", AWS_VPC_ENI_MTU="1500").conflist

    assert (today["cniVersion"], today["disableCheck"]) == ("0.4.0", True)
    plugin, egress, portmap = today["plugins"]
    assert (plugin["vethPrefix"], plugin["mtu"], plugin["pluginLogLevel"]) == (
        "pod",
        "1500",
        "ERROR",
    )
    assert (egress["enabled"], egress["randomizeSNAT"]) == ("false", "none")
    assert then == {
        "cniVersion": "0.3.1",
        "name": "aws-cni",
        "plugins": [{"name": "aws-cni", "type": "aws-cni", "vethPrefix": "pod"}, portmap],
    }


def test_plugins_of_others_are_chained_behind_in_the_order_of_the_program() -> None:
    env = {"DISABLE_POD_V6": "true", "ENABLE_BANDWIDTH_PLUGIN": "true"}
    env |= {"POD_SECURITY_GROUP_ENFORCING_MODE": "standard"}
    plugins = rendered("current", **env).conflist["plugins"]

    assert [one["type"] for one in plugins] == [
        *("aws-cni", "egress-cni", "portmap", "bandwidth", "tuning")
    ]
    assert plugins[0]["podSGEnforcingMode"] == "standard"
    assert plugins[4]["sysctl"] == {
        "net.ipv6.conf.all.disable_ipv6": "1",
        "net.ipv6.conf.default.disable_ipv6": "1",
        "net.ipv6.conf.lo.disable_ipv6": "1",
    }
    assert [one["type"] for one in rendered("slides", **env).conflist["plugins"]] == [
        *("aws-cni", "portmap")
    ]


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"AWS_VPC_ENI_MTU": "x"}, 'AWS_VPC_ENI_MTU: expected a whole number, found "x"'),
        ({"WARM_ENI": "1"}, 'unknown key "WARM_ENI"; did you mean "WARM_ENI_TARGET"?'),
        (
            {"AWS_VPC_ENI_MTU": "575"},
            'AWS_VPC_ENI_MTU: expected a number from 576 on, found "575"',
        ),
    ],
)
def test_a_variable_that_cannot_be_is_refused(env: dict[str, str], message: str) -> None:
    with pytest.raises(DescriptionError) as refused:
        with_settings(example().cluster, None, env)

    assert message in str(refused.value)


def test_a_pod_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match='there is no pod "pod-9"'):
        render(example(), "pod-9")


def test_host_ports_are_there_because_portmap_is_chained() -> None:
    """Behind the CNI's own rules, and with 127.0.0.1 on the pod's link."""
    wired = example()
    ports = (Container("app", (Port(80, host_port=8080),)),)
    pods = tuple(replace(pod, containers=ports) for pod in wired.cluster.pods[:1])
    cluster = replace(wired.cluster, pods=(*pods, *wired.cluster.pods[1:]))

    found = render(replace(wired, cluster=cluster))

    lines = found.iptables.splitlines()
    assert [line for line in lines if line.startswith("-A PREROUTING")][-1] == (
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT"
    )
    assert any(line.endswith("-j DNAT --to-destination 10.10.0.101:80") for line in lines)
    assert "1" in [v for k, v in found.sysctls.items() if k.endswith(".route_localnet")]
    assert "CNI-HOSTPORT" not in render(wired).iptables
