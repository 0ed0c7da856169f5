"""The example node as its tools would print it, in both eras; and other settings, and topologies.

eth0 10.10.0.10 has Pod1's 10.10.0.101, eth1 10.10.0.20 has Pod2's 10.10.0.102.
"""

from dataclasses import replace

import pytest

from testbed.description.ports import Port
from testbed.eks.model import Profile
from testbed.eks.render import Rendered, example, render, to_json, to_text
from testbed.eks.rollout import with_settings
from testbed.errors import DescriptionError, UsageError
from testbed.kubernetes.model import Container

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])


def rendered(profile: Profile, **env: str) -> Rendered:
    wired = example(profile)
    return render(replace(wired, cluster=with_settings(wired.cluster, None, env)))


def rules(profile: Profile, **env: str) -> list[str]:
    """As `ip rule` prints them, a blank for the tab."""
    return [rule.replace(":\t", ": ") for rule in rendered(profile, **env).rules]


def test_ip_rule_of_the_slides_node() -> None:
    assert rules("slides") == [
        "0: from all lookup local",
        "512: from all to 10.10.0.101 lookup main",
        "512: from all to 10.10.0.102 lookup main",
        "1024: from all fwmark 0x80/0x80 lookup main",
        "1536: from 10.10.0.102 to 10.10.0.0/16 lookup 2",
        "32766: from all lookup main",
        "32767: from all lookup default",
    ]


def test_ip_rule_of_a_node_of_today() -> None:
    assert rules("current") == [
        "0: from all lookup local",
        "512: from all to 10.10.0.101 lookup main",
        "512: from all to 10.10.0.102 lookup main",
        "1024: from all fwmark 0x80/0x80 lookup main",
        "1536: from 10.10.0.102 lookup 2",
        "32765: from 10.10.0.20 lookup 2",
        "32766: from all lookup main",
        "32767: from all lookup default",
    ]


@BOTH
def test_the_tables_are_main_and_one_for_eth1(profile: Profile) -> None:
    assert rendered(profile).tables == {
        "main": (
            "default via 10.10.0.1 dev eth0",
            "10.10.0.0/19 dev eth0 proto kernel scope link src 10.10.0.10",
            "10.10.0.101 dev eni83dbd022cd5 scope link",
            "10.10.0.102 dev enifbd243bfedd scope link",
            "169.254.169.254 dev eth0",
        ),
        "2": ("default via 10.10.0.1 dev eth1", "10.10.0.1 dev eth1 scope link"),
    }


def test_iptables_of_the_slides_node() -> None:
    """`--set-mark 0x80/0x80` and `--restore-mark --mask 0x80`, as iptables-save spells them."""
    assert rendered("slides").iptables.splitlines() == [
        "*mangle",
        '-A PREROUTING -i eth0 -m comment --comment "AWS, primary ENI" -m addrtype'
        " --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark 0x80/0x80",
        '-A PREROUTING -i eni+ -m comment --comment "AWS, primary ENI"'
        " -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
        "COMMIT",
        "*nat",
        ":AWS-SNAT-CHAIN-0 - [0:0]",
        ":AWS-SNAT-CHAIN-1 - [0:0]",
        '-A POSTROUTING -m comment --comment "AWS SNAT CHAN" -j AWS-SNAT-CHAIN-0',
        '-A AWS-SNAT-CHAIN-0 ! -d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAN"'
        " -j AWS-SNAT-CHAIN-1",
        '-A AWS-SNAT-CHAIN-1 -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL'
        " -j SNAT --to-source 10.10.0.10 --random",
        "COMMIT",
    ]


def test_iptables_of_a_node_of_today() -> None:
    assert rendered("current").iptables.splitlines() == [
        "*mangle",
        '-A PREROUTING -i eth0 -m comment --comment "AWS, primary ENI" -m addrtype'
        " --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark 0x80/0x80",
        '-A PREROUTING -i eni+ -m comment --comment "AWS, primary ENI"'
        " -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
        '-A PREROUTING -i vlan+ -m comment --comment "AWS, primary ENI"'
        " -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
        "COMMIT",
        "*nat",
        ":AWS-CONNMARK-CHAIN-0 - [0:0]",
        ":AWS-SNAT-CHAIN-0 - [0:0]",
        '-A POSTROUTING -m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0',
        '-A PREROUTING -i eni+ -m comment --comment "AWS, outbound connections"'
        " -j AWS-CONNMARK-CHAIN-0",
        '-A PREROUTING -m comment --comment "AWS, CONNMARK"'
        " -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
        '-A AWS-CONNMARK-CHAIN-0 -d 10.10.0.0/16 -m comment --comment "AWS CONNMARK CHAIN"'
        " -j RETURN",
        '-A AWS-CONNMARK-CHAIN-0 -m comment --comment "AWS, CONNMARK"'
        " -j CONNMARK --set-xmark 0x80/0x80",
        '-A AWS-SNAT-CHAIN-0 -d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAIN" -j RETURN',
        '-A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype'
        " ! --dst-type LOCAL -j SNAT --to-source 10.10.0.10 --random-fully",
        "COMMIT",
    ]


@pytest.mark.parametrize(
    ("profile", "settings"),
    [
        ("slides", {"accept_ra": "0", "accept_redirects": "0"}),
        ("current", {"accept_ra": "0", "accept_redirects": "1", "forwarding": "0"}),
    ],
)
def test_sysctls_of_the_node_and_of_each_veth(profile: Profile, settings: dict[str, str]) -> None:
    found = rendered(profile).sysctls

    assert found["net.ipv4.conf.eth0.rp_filter"] == "2"
    assert {name: value for name, value in found.items() if "ipv6" in name} == {
        f"net.ipv6.conf.{veth}.{name}": value
        for veth in ("eni83dbd022cd5", "enifbd243bfedd")
        for name, value in settings.items()
    }


@BOTH
def test_a_pod_has_one_address_two_routes_and_a_neighbour(profile: Profile) -> None:
    pod = render(example(profile), "pod-2").pod
    assert pod

    assert pod.addresses == ("inet 10.10.0.102/32 dev eth0",)
    assert pod.routes == (
        "default via 169.254.1.1 dev eth0",
        "169.254.1.1 dev eth0 scope link",
    )
    assert [line.split("lladdr")[0] for line in pod.neighbours] == ["169.254.1.1 dev eth0 "]
    assert [line.split(": ")[0] for line in pod.links] == ["eth0@node-1/enifbd243bfedd"]


def test_variables_of_the_cni_take_the_place_of_the_topology_s() -> None:
    assert "1024: from all fwmark 0x40/0x40 lookup main" in rules(
        "current", AWS_VPC_K8S_CNI_CONNMARK="0x40"
    )
    external = rendered("slides", AWS_VPC_K8S_CNI_EXTERNALSNAT="true")
    assert "1536:\tfrom 10.10.0.102 lookup 2" in external.rules
    assert "SNAT --to-source" not in external.iptables


def test_sections_are_headed_by_the_command_that_prints_them() -> None:
    text = to_text(rendered("slides"))

    assert text.startswith("# node-1: ip rule\n0:\tfrom all lookup local\n512:")
    assert "\n\n# node-1: ip route show table 2\ndefault via 10.10.0.1 dev eth1\n" in text
    assert "\n\n# pod-1: ip route\ndefault via 169.254.1.1 dev eth0\n" in text


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


def test_a_node_s_links_and_addresses() -> None:
    """The veths of pods have no address."""
    found = rendered("current", AWS_VPC_ENI_MTU="8000", POD_MTU="1400")

    assert [(link.split("@")[0], link.split("mtu ")[1].split(" ")[0]) for link in found.links] == [
        ("eni83dbd022cd5", "1400"),
        ("enifbd243bfedd", "1400"),
        ("eth0", "8000"),
        ("eth1", "8000"),
    ]
    assert found.addresses == ("inet 10.10.0.10/19 dev eth0", "inet 10.10.0.20/19 dev eth1")


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
