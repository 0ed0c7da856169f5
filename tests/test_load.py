"""A topology file becomes a Lab, or one message that names file, line and key."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from testbed.description.ports import Port
from testbed.errors import AwsError, DescriptionError
from testbed.lab import Lab, from_json, to_json
from testbed.load import load, parse, renamed

SMALL = """\
testbed: v1
name: small
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: {cidr: 10.0.1.0/24, availabilityZone: us-west-2a}
      b: {cidr: 10.0.2.0/24, availabilityZone: us-west-2b}
    routeTables:
      main:
        0.0.0.0/0: internet-gateway
    natGateways:
      nat: {subnet: a}
clusters:
  eks:
    vpc: main
    nodes:
      node-1: {subnet: a, instanceType: t3.small}
      node-2: {subnet: b, instanceType: t3.small}
    pods:
      web: {replicas: 2, node: node-1}
      client:
      two:
        containers:
          app: {ports: [8080/http]}
          side: {ports: [53, 53/udp]}
    env:
      WARM_ENI_TARGET: 1
"""


def error_of(text: str) -> DescriptionError:
    """What a wrong topology is answered with."""
    with pytest.raises(DescriptionError) as caught:
        parse(text, "my.yaml")
    return caught.value


def test_names_come_from_the_keys_of_maps() -> None:
    """A map of things and Python's list of things are one value."""
    lab = parse(SMALL, "my.yaml")

    assert [subnet.name for subnet in lab.vpcs[0].subnets] == ["a", "b"]
    assert lab.vpcs[0].cidrs == (IPv4Network("10.0.0.0/16"),)
    assert lab.vpcs[0].route_tables[0].routes[0].target == "internet-gateway"
    cluster = lab.clusters[0]
    assert [pod.name for pod in cluster.pods] == ["web-0", "web-1", "client", "two"]
    assert cluster.pods[3].containers[1].ports == (Port(53, "http"), Port(53, "udp"))


def test_a_lab_is_the_same_after_a_way_through_json() -> None:
    """The daemon keeps the applied lab as JSON."""
    lab = parse(SMALL, "my.yaml")

    assert from_json(to_json(lab)) == lab


@pytest.mark.parametrize("written", ["false", "False", "no", "off", '"no"'])
def test_every_spelling_of_false_is_false(written: str) -> None:
    """A switch is off however YAML's versions let one write it."""
    text = SMALL.replace("    cidrs:", f"    routerAnswersPing: {written}\n    cidrs:")

    assert parse(text, "my.yaml").vpcs[0].router_answers_ping is False


WRONG = {  # what is replaced, by what; the line and the key; words of the message
    "unknown key": (
        ("instanceType: t3.small}\n      node-2", "instanceTyp: t3.small}\n      node-2"),
        (18, "clusters.eks.nodes.node-1.instanceTyp"),
        ['unknown key "instanceTyp"', 'did you mean "instanceType"?', "allowed: subnet, instance"],
    ),
    "unknown key at the top": (
        ("name: small", "name: small\nnmae: x"),
        (3, "nmae"),
        ['did you mean "name"?'],
    ),
    "Python's spelling of a key": (
        ("availabilityZone: us-west-2a", "availability_zone: us-west-2a"),
        (7, "vpcs.main.subnets.a.availability_zone"),
        ['did you mean "availabilityZone"?'],
    ),
    "unknown setting of the CNI": (
        ("WARM_ENI_TARGET", "WARM_ENI_TARGETS"),
        (28, "clusters.eks.env.WARM_ENI_TARGETS"),
        ['did you mean "WARM_ENI_TARGET"?'],
    ),
    "a merge key": (("name: small", "name: small\n<<: {}"), (3, '["<<"]'), ["unknown key"]),
    "missing key": (
        ("{subnet: b, instanceType: t3.small}", "{subnet: b}"),
        (19, "clusters.eks.nodes.node-2.instanceType"),
        ["this key is missing"],
    ),
    "missing key of a thing without any": (
        ("      node-2: {subnet: b, instanceType: t3.small}", "      node-2:"),
        (19, "clusters.eks.nodes.node-2.subnet"),
        ["this key is missing"],
    ),
    "no version": (("testbed: v1", "x: 1"), (1, "testbed"), ["begins with `testbed: v1`"]),
    "another version": (("v1", "v2"), (1, "testbed"), ["expected v1", 'found "v2"']),
    "a number for text": (("name: small", "name: 7"), (2, "name"), ["expected text", "quotes"]),
    "text for a list": (
        ("[10.0.0.0/16]", "10.0.0.0/16"),
        (5, "vpcs.main.cidrs"),
        ["expected a list", 'found "10.0.0.0/16"'],
    ),
    "text for a map": (
        ("nat: {subnet: a}", "nat: a"),
        (13, "vpcs.main.natGateways.nat"),
        ["expected a map", 'found "a"'],
    ),
    "text for a number": (
        ("WARM_ENI_TARGET: 1", "AWS_VPC_ENI_MTU: many"),
        (28, "clusters.eks.env.AWS_VPC_ENI_MTU"),
        ["expected a whole number", 'found "many"'],
    ),
    "true for a number": (
        ("replicas: 2, node: node-1", "eni: true"),
        (21, "clusters.eks.pods.web.eni"),
        ["expected a whole number", "found true"],
    ),
    "a number for an address": (
        ("{subnet: a, i", "{privateIp: 10, subnet: a, i"),
        (18, "clusters.eks.nodes.node-1.privateIp"),
        ["expected an IPv4 address", "found the number 10"],
    ),
    "no range": (
        ("10.0.2.0/24", "10.0.2.0"),
        (8, "vpcs.main.subnets.b.cidr"),
        ["expected an IPv4 range such as 10.0.0.0/16", 'found "10.0.2.0"'],
    ),
    "a destination that is no range": (
        ("0.0.0.0/0: i", "default: i"),
        (11, "vpcs.main.routeTables.main.default"),
        ["expected an IPv4 range"],
    ),
    "a target that is no text": (
        ("0.0.0.0/0: internet-gateway", "0.0.0.0/0: [nat]"),
        (11, 'vpcs.main.routeTables.main["0.0.0.0/0"]'),
        ["expected text, found a list"],
    ),
    "host bits in a range": (
        ("10.0.2.0/24", "10.0.2.7/24"),
        (8, "vpcs.main.subnets.b.cidr"),
        ["10.0.2.7/24 is an address inside 10.0.2.0/24"],
    ),
    "a word that is none of the choices": (
        ("vpc: main", "vpc: main\n    profile: slide"),
        (17, "clusters.eks.profile"),
        ['expected "current" or "slides"', 'did you mean "slides"?'],
    ),
    "half a switch": (
        ("    cidrs:", "    internetGateway: maybe\n    cidrs:"),
        (5, "vpcs.main.internetGateway"),
        ["expected true or false", 'found "maybe"'],
    ),
    "a port's protocol": (
        ("8080/http", "8080/htp"),
        (25, "clusters.eks.pods.two.containers.app.ports[0]"),
        ["expected a port such as 80, 80/http or 53/udp"],
    ),
    "a port's number": (
        ("8080/http", "65536"),
        (25, "clusters.eks.pods.two.containers.app.ports[0].number"),
        ["up to 65535"],
    ),
    "replicas that are no number": (
        ("replicas: 2", "replicas: two"),
        (21, "clusters.eks.pods.web.replicas"),
        ["from 0 to 10000", 'found "two"'],
    ),
    "more replicas than a machine holds": (
        ("replicas: 2", "replicas: 1000000000"),
        (21, "clusters.eks.pods.web.replicas"),
        ["from 0 to 10000"],
    ),
    "a replica's node": (
        ("node: node-1", "node: nod-1"),
        (21, "clusters.eks.pods.web-0.node"),
        ['there is no node "nod-1"', 'did you mean "node-1"?'],
    ),
    "a name inside its map's value": (
        ("nat: {subnet: a}", "nat: {name: x, subnet: a}"),
        (13, "vpcs.main.natGateways.nat.name"),
        ["the key of the map is the name already"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_topology_is_one_clear_message(case: str) -> None:
    """File, line, key, what is wrong and what could be meant; the program ends with 2."""
    (right, wrong), (line, key), words = WRONG[case]
    assert right in SMALL, "premise: the case changes something"

    error = error_of(SMALL.replace(right, wrong, 1))

    assert (error.where.file, error.where.line, error.where.key) == ("my.yaml", line, key)
    assert [word for word in words if word not in error.message] == []
    assert str(error).startswith(f"my.yaml:{line}: {key}: ")
    assert "\n" not in str(error)
    assert error.exit_code == 2


def test_what_aws_would_refuse_has_its_error_code_and_our_line() -> None:
    """The checks across the parts of a lab know no lines; the file does."""
    error = error_of(SMALL.replace("10.0.2.0/24", "10.0.1.128/25"))

    assert isinstance(error, AwsError)
    assert error.code == "InvalidSubnet.Conflict"
    assert str(error) == (
        "my.yaml:8: vpcs.main.subnets.b.cidr: 10.0.1.128/25 overlaps 10.0.1.0/24"
        ' of subnet "a" (InvalidSubnet.Conflict)'
    )


def test_things_may_be_a_list_with_names() -> None:
    """Two pods of one name in two namespaces cannot be keys of one map."""
    head, _, _ = SMALL.partition("    pods:\n")
    pods = (
        "    pods:\n"
        "      - {name: dns, namespace: a}\n"
        "      - {name: dns, namespace: b}\n"
        "      - {name: web, replicas: 2, node: node-1}\n"
    )

    names = [pod.netns for pod in parse(head + pods, "my.yaml").clusters[0].pods]
    error = error_of(head + pods.replace("node-1", "node-7"))

    assert names == ["a.dns", "b.dns", "web-0", "web-1"]
    assert (error.where.line, error.where.key) == (23, "clusters.eks.pods.web-0.node")


def test_a_file_that_is_not_there_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    """`eks.yml` for `eks.yaml` is the commonest slip."""
    (tmp_path / "eks.yaml").write_text(SMALL)

    with pytest.raises(DescriptionError) as caught:
        load(tmp_path / "eks.yml")

    assert str(caught.value) == f'{tmp_path}/eks.yml: no such file; did you mean "eks.yaml"?'


def test_a_folder_is_no_topology(tmp_path: Path) -> None:
    """`testbed up topologies/`."""
    with pytest.raises(DescriptionError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_file_in_another_encoding_is_told_with_the_line(tmp_path: Path) -> None:
    """Editors on Windows write UTF-16 or a code page."""
    file = tmp_path / "latin.yaml"
    file.write_bytes("testbed: v1\n# Zürich\n".encode("latin-1"))

    with pytest.raises(DescriptionError) as caught:
        load(file)

    assert str(caught.value) == f"{file}:2: byte 0xfc is not UTF-8; save the file as UTF-8"


def test_windows_line_ends_and_its_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    """The same topology, saved by Notepad."""
    file = tmp_path / "windows.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())

    assert load(file) == parse(SMALL, "my.yaml")


def test_a_lab_runs_twice_under_two_names() -> None:
    """`up --name`: only the name differs, and it is checked as any."""
    lab = parse(SMALL, "my.yaml")

    assert renamed(lab, "other") == parse(SMALL.replace("small", "other", 1), "my.yaml")
    with pytest.raises(DescriptionError, match="cannot be a name"):
        renamed(lab, "No Name")


def test_addresses_are_addresses_and_not_text() -> None:
    """Everybody downstream computes with them."""
    text = SMALL.replace("{subnet: a, i", "{privateIp: 10.0.1.9, subnet: a, i")

    lab = parse(text, "my.yaml")

    assert isinstance(lab, Lab)
    assert lab.clusters[0].nodes[0].private_ip == IPv4Address("10.0.1.9")
