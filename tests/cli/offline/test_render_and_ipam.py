"""render and ipam: verbs that need no lab, no root and no kernel."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S

STATE = '{"instanceType": "m5.large", "enis": [{"id": "eni-1", "deviceIndex": 0}]}'


def run(*words: str, code: int = 0, stdin: str = "") -> str:
    """What a verb prints: its output, or for another exit code than 0 its error."""
    argv = [sys.executable, "-m", "testbed", *words]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.mark.parametrize(
    ("profile", "rule"),
    [
        ("slides", "1536:\tfrom 10.10.0.102 to 10.10.0.0/16 lookup 2"),
        ("current", "1536:\tfrom 10.10.0.102 lookup 2"),
    ],
)
def test_without_a_topology_the_example_is_rendered(profile: str, rule: str) -> None:
    assert rule in run("render", "vpc-cni", "--profile", profile).splitlines()
    assert (
        rule in json.loads(run("render", "vpc-cni", "--profile", profile, "-o", "json"))["rules"]
    )


def test_a_topology_is_rendered_with_other_settings(topologies: Path) -> None:
    file = str(topologies / "eks-slides.yaml")
    snat = "-j SNAT --to-source 10.10.0.10"

    assert snat in run("render", "vpc-cni", "-f", file)
    assert snat not in run("render", "vpc-cni", "-f", file, "AWS_VPC_K8S_CNI_EXTERNALSNAT=true")
    assert "32765:" in run("render", "vpc-cni", "-f", file, "--profile", "current")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["WARM"], "expected KEY=VALUE, found 'WARM'"),
        (["AWS_VPC_ENI_MTU=x"], 'AWS_VPC_ENI_MTU: expected a whole number, found "x"'),
        (["--node", "node-9"], "the example has one node, node-1; give a topology with -f"),
        (["--pod", "pod-9"], 'there is no pod "pod-9"'),
    ],
)
def test_what_cannot_be_rendered_is_one_clear_error(words: list[str], message: str) -> None:
    error = run("render", "vpc-cni", *words, code=2)

    assert message in error
    assert len(error.splitlines()) == 1


def test_a_node_or_a_cluster_that_is_not_there_is_an_error(topologies: Path) -> None:
    eks, kops = str(topologies / "eks.yaml"), str(topologies / "kops.yaml")

    error = run("render", "vpc-cni", "-f", eks, "--node", "node-11", code=2)
    assert 'there is no EKS node "node-11"; did you mean "node-1"?' in error
    assert f"{kops}: no EKS node" in run("render", "vpc-cni", "-f", kops, code=2)


def test_ipamd_decides_by_a_file_or_by_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text(STATE)

    found = json.loads(run("ipam", "decide", "-f", str(file)))

    assert found["decisions"] == [{"action": "AssignAddresses", "eni": "eni-1", "count": 9}]
    assert json.loads(run("ipam", "decide", "-f", "-", stdin=STATE)) == found


def test_a_state_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff")

    assert "wrong.json:1: not JSON" in run("ipam", "decide", "-f", str(wrong), code=2)
    assert "binary.json:1: byte 0xff is not UTF-8" in run(
        "ipam", "decide", "-f", str(binary), code=2
    )
    assert "no such file" in run("ipam", "decide", "-f", str(tmp_path / "none"), code=2)


WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, clusterIP: 100.64.31.116, ports: [{port: 80, nodePort: 31787}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: web}
subsets:
- addresses: [{ip: 100.65.129.11, nodeName: na}, {ip: 100.65.130.11, nodeName: nb}]
  ports: [{port: 8080}]
"""


def test_kube_proxys_rules_are_rendered_in_the_slides_era_and_in_todays() -> None:
    """The same Service has other chains: the colon behind the name of its port went."""
    flags = ["render", "kube-proxy", "-f", "-", "--cluster-cidr", "100.65.0.0/16"]

    slides, today = run(*flags, "--era", "1.14", stdin=WEB), run(*flags, stdin=WEB)

    to_it = '-d 100.64.31.116/32 -p tcp -m comment --comment "default/web: cluster IP" -m tcp'
    assert (
        f"-A KUBE-SERVICES ! -s 100.65.0.0/16 {to_it} --dport 80 -j KUBE-MARK-MASQ\n"
        f"-A KUBE-SERVICES {to_it} --dport 80 -j KUBE-SVC-BIJGBSD4RZCCZX5R\n"
    ) in slides
    assert ":KUBE-SVC-LOLE4ISW44XBNF3G - [0:0]\n" in today


def test_masquerade_all_and_the_node_are_flags_too() -> None:
    local = WEB.replace("type: NodePort", "type: NodePort, externalTrafficPolicy: Local")

    here = run("render", "kube-proxy", "-f", "-", "--node", "na", "--masquerade-all", stdin=local)
    away = run("render", "kube-proxy", "-f", "-", stdin=local)

    assert "KUBE-SVL-LOLE4ISW44XBNF3G" in here
    assert "KUBE-SVL-LOLE4ISW44XBNF3G" not in away
    assert "-m tcp --dport 80 -j KUBE-MARK-MASQ" in here


def test_every_flag_of_kube_proxys_that_changes_a_rule_is_one() -> None:
    """By their own names, but for the two of an interface, which are one here."""

    def rendered(*flags: str) -> str:
        return run("render", "kube-proxy", "-f", "-", *flags, stdin=WEB)

    to_masquerade = '-d 100.64.31.116/32 {}-p tcp -m comment --comment "default/web cluster IP"'
    bridge = rendered("--detect-local-mode", "BridgeInterface", "--pod-interface", "cbr0")
    prefix = rendered("--detect-local-mode", "InterfaceNamePrefix", "--pod-interface", "eni")
    node = rendered("--detect-local-mode", "NodeCIDR", "--pod-cidr", "100.65.129.0/24")
    some = ("--node-ip", "10.0.1.11", "--nodeport-addresses", "10.0.0.0/8,127.0.0.0/8")
    tail = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule'

    assert to_masquerade.format("! -i cbr0 ") in bridge
    assert to_masquerade.format("! -i eni+ ") in prefix
    assert f"! -s 100.65.129.0/24 {to_masquerade.format('')}" in node
    assert f"-A KUBE-SERVICES -d 10.0.1.11/32 {tail}" in rendered(*some)
    assert f"-A KUBE-SERVICES -d 127.0.0.1/32 {tail}" in rendered(*some)
    assert "-d 127.0.0.1/32" not in rendered(*some, "--no-iptables-localhost-nodeports")
    assert f"! -d 127.0.0.0/8 {tail}" in rendered("--no-iptables-localhost-nodeports")
    assert "INVALID" in rendered()
    assert "INVALID" not in rendered("--conntrack-tcp-be-liberal")


def test_the_table_of_nftables_mode_is_rendered_for_nft() -> None:
    flags = (
        "--proxy-mode",
        "nftables",
        "--node-ip",
        "10.0.1.11",
        "--cluster-cidr",
        "100.65.0.0/16",
    )

    lines = run("render", "kube-proxy", "-f", "-", *flags, stdin=WEB).splitlines()

    [chain] = [
        line.split()[-1] for line in lines if line.startswith("add chain ip kube-proxy ser")
    ][:1]
    assert "add table ip kube-proxy" in lines
    assert "\t10.0.1.11," in lines, "where node ports are"
    assert f"\t100.64.31.116 . tcp . 80 : goto {chain}," in lines
    assert not [line for line in lines if "KUBE-" in line]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--era", "1.14", "--proxy-mode", "nftables"], "mode: nftables came with"),
        (["--detect-local-mode", "BridgeInterface"], "podInterface: BridgeInterface needs"),
        (["--era", "1.14", "--detect-local-mode", "NodeCIDR"], "detectLocalMode: came with"),
        (["--nodeport-addresses", "10.0.0.1/8"], "--nodeport-addresses"),
    ],
)
def test_flags_that_kube_proxy_would_refuse_are_refused(flags: list[str], said: str) -> None:
    assert said in run("render", "kube-proxy", "-f", "-", *flags, code=2, stdin=WEB)


def test_pods_whose_status_has_no_address_are_named() -> None:
    """They are nobody's endpoint; the rules refuse, as they do for a Deployment not started."""
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0}\nspec: {containers: [{name: a}]}\n"

    argv = [sys.executable, "-m", "testbed", "render", "kube-proxy", "-f", "-"]
    done = subprocess.run(argv, input=pod, capture_output=True, text=True, timeout=PATIENCE_S)

    assert done.returncode == 0
    assert "no endpoints, for their status has no podIP: web-0" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WEB.replace("port: 80,", "port: 0,"), "<stdin>:5: spec.ports[0].port: expected a number"),
        (
            f"{WEB}---{WEB.split('---')[0].replace('name: web', 'name: two')}",
            'provided port is already allocated: Service "web" has it',
        ),
    ],
    ids=["no port", "node port taken"],
)
def test_a_manifest_that_kubernetes_would_refuse_is_refused(text: str, said: str) -> None:
    assert said in run("render", "kube-proxy", "-f", "-", code=2, stdin=text)


def test_a_flag_that_is_no_range_is_refused() -> None:
    assert "--cluster-cidr" in run(
        "render", "kube-proxy", "-f", "-", "--cluster-cidr", "pods", code=2, stdin=WEB
    )


def test_a_day_of_a_node_is_a_table_or_json() -> None:
    """The defaults tell the story of docs/ipam.md."""
    table = run("ipam", "timeline").splitlines()
    told = json.loads(run("ipam", "timeline", "5s=1", "WARM_IP_TARGET=3", "-o", "json"))

    assert table[0].split() == ["AT", "PODS", "WAITING", "POOL", "ENIS", "REQUESTS", "IPAMD"]
    assert table[-1].split() == ["137.5s", "0", "9/0", "1", "5", "detach", "and", "delete", "eth1"]
    assert told[0]["done"] == [{"action": "AssignAddresses", "eni": "eth0", "count": 3}]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["10s=many"], "found '10s=many'"),
        ([""], "expected KEY=VALUE, found ''"),
        (["WARM=1"], 'unknown key "WARM"'),
        (["-t", "m5.lage"], "did you mean m5.large?"),
        (["--subnet", "10.0.0.0/30"], "a subnet is a /16 to a /28"),
        (["--subnet", "10.0.0.5/24"], "10.0.0.5/24 has host bits set"),
    ],
)
def test_what_is_no_story_is_one_clear_error(words: list[str], message: str) -> None:
    assert message in run("ipam", "timeline", *words, code=2)
