"""Instance metadata, asked by nodes and pods with curl: versions, tokens, and the hop limit."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.lab import Lab
from testbed.load import load
from testbed.vpc.model import MetadataOptions
from testbed.vpc.security.model import SecurityGroup

pytestmark = pytest.mark.kernel

BASE = "http://169.254.169.254"
DATA = f"{BASE}/latest/meta-data"
TOKEN = "X-aws-ec2-metadata-token"
TTL = f"{TOKEN}-ttl-seconds"


def with_options(lab: Lab, **options: MetadataOptions) -> Lab:
    """The lab, its nodes with these options, and with security groups that stop everything."""
    [cluster] = lab.clusters
    nodes = tuple(
        replace(node, metadata_options=options[node.name.replace("-", "_")])
        for node in cluster.nodes
    )
    closed = SecurityGroup("eks-cluster-sg-eks", ingress=(), egress=())
    vpc = replace(lab.vpcs[0], security_groups=(closed,))
    return replace(lab, vpcs=(vpc,), clusters=(replace(cluster, nodes=nodes),))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def imds(topologies: Path) -> Iterator[Bed]:
    """node-1 as EC2 has it, node-2 lets pods ask, node-3 wants tokens."""
    lab = with_options(
        load(topologies / "eks.yaml"),
        node_1=MetadataOptions(),
        node_2=MetadataOptions(http_put_response_hop_limit=2),
        node_3=MetadataOptions(http_tokens="required"),
    )
    with bring_up(lab) as up:
        yield up


SHOWN = ("-w", "\n%{http_code}")


def curl(bed: Bed, place: str, *arguments: str) -> tuple[str, str]:
    """Status (000 for no answer) and body."""
    done = bed.run(place, "curl", "-s", "-m", f"{bed.patience_s}", *SHOWN, *arguments)
    body, _, status = done.stdout.rpartition("\n")
    return status, body


def token(bed: Bed, place: str, seconds: str = "60") -> tuple[str, str]:
    return curl(bed, place, "-X", "PUT", "-H", f"{TTL}: {seconds}", f"{BASE}/latest/api/token")


def test_a_node_reads_its_own_metadata(imds: Bed) -> None:
    """Though its security group lets nothing out: no group sees it."""
    assert curl(imds, "node-1", f"{DATA}/local-ipv4") == ("200", str(imds.address("node-1")))
    assert curl(imds, "node-1", f"{DATA}/placement/availability-zone") == ("200", "us-west-2a")
    assert curl(imds, "node-2", f"{DATA}/placement/availability-zone") == ("200", "us-west-2b")
    assert curl(imds, "node-1", f"{DATA}/instance-type") == ("200", "t3.small")
    assert curl(imds, "node-1", f"{DATA}/nothing") == ("404", "")


def test_the_paths_that_ipamd_reads(imds: Bed) -> None:
    """amazon-vpc-cni-k8s, pkg/awsutils/imds.go."""
    enis = [eni for eni in imds.allocations.enis if eni.instance == "node-1"]
    macs = f"{DATA}/network/interfaces/macs"

    status, listed = curl(imds, "node-1", f"{macs}/")
    assert status == "200"
    assert sorted(listed.splitlines()) == sorted(f"{eni.mac}/" for eni in enis)

    for eni in enis:
        expected = {
            "device-number": str(eni.device_index),
            "interface-id": eni.id,
            "local-ipv4s": "\n".join(map(str, eni.addresses)),
            "subnet-ipv4-cidr-block": "10.0.1.0/24",
            "vpc-ipv4-cidr-blocks": "10.0.0.0/16",
        }
        for key, text in expected.items():
            assert curl(imds, "node-1", f"{macs}/{eni.mac}/{key}") == ("200", text)
        for key, kind in (
            ("subnet-id", "subnet-"),
            ("vpc-id", "vpc-"),
            ("security-group-ids", "sg-"),
        ):
            status, text = curl(imds, "node-1", f"{macs}/{eni.mac}/{key}")
            assert (status, text[: len(kind)]) == ("200", kind)
        for absent in ("ipv4-prefix", "ipv6s", "network-card"):
            assert curl(imds, "node-1", f"{macs}/{eni.mac}/{absent}") == ("404", "")


def test_version_1_needs_no_token_where_tokens_are_optional(imds: Bed) -> None:
    assert curl(imds, "node-1", f"{DATA}/mac")[0] == "200"
    assert curl(imds, "node-3", f"{DATA}/mac")[0] == "401"

    status, given = token(imds, "node-3")
    assert status == "200"
    assert curl(imds, "node-3", "-H", f"{TOKEN}: {given}", f"{DATA}/mac")[0] == "200"


def test_a_token_is_of_one_instance_and_must_be_right_even_where_none_is_needed(imds: Bed) -> None:
    _, given = token(imds, "node-1")

    assert curl(imds, "node-1", "-H", f"{TOKEN}: {given}", f"{DATA}/mac")[0] == "200"
    assert curl(imds, "node-2", "-H", f"{TOKEN}: {given}", f"{DATA}/mac")[0] == "401"
    assert curl(imds, "node-1", "-H", f"{TOKEN}: x.y", f"{DATA}/mac")[0] == "401"


@pytest.mark.parametrize(
    ("seconds", "status"),
    [("0", "400"), ("1", "200"), ("21600", "200"), ("21601", "400"), ("x", "400")],
)
def test_a_token_lives_from_a_second_to_six_hours(imds: Bed, seconds: str, status: str) -> None:
    assert token(imds, "node-1", seconds)[0] == status


def test_answers_tell_how_long_the_token_lives(imds: Bed) -> None:
    """aws-sdk-go's feature/ec2/imds, which ipamD is built on, takes no token without it."""

    def told(*arguments: str) -> str:
        done = imds.run("node-3", "curl", "-s", "-m", "60", "-D", "-", *arguments)
        fields = [line.partition(": ") for line in done.stdout.splitlines()]
        return next((value for name, _, value in fields if name.lower() == TTL.lower()), "")

    assert told("-X", "PUT", "-H", f"{TTL}: 21600", f"{BASE}/latest/api/token") == "21600"
    _, given = token(imds, "node-3", "21600")
    assert 0 < int(told("-H", f"{TOKEN}: {given}", f"{DATA}/mac")) <= 21600
    assert told(f"{DATA}/mac") == "", "without a token there is none to tell of"


def test_every_version_has_the_data_and_is_listed(imds: Bed) -> None:
    """cloud-init asks by a date; scripts write a slash twice."""
    own = str(imds.address("node-1"))

    assert curl(imds, "node-1", f"{BASE}/")[1].splitlines()[-1] == "latest"
    assert curl(imds, "node-1", f"{BASE}/latest/") == ("200", "dynamic\nmeta-data")
    for path in ("2021-03-23/meta-data", "1.0/meta-data", "latest/meta-data/"):
        assert curl(imds, "node-1", f"{BASE}/{path}/local-ipv4") == ("200", own)
    assert curl(imds, "node-1", f"{BASE}/2021-03-24/meta-data/local-ipv4")[0] == "404"


def test_the_identity_document_says_where_an_instance_is(imds: Bed) -> None:
    status, text = curl(imds, "node-2", f"{BASE}/latest/dynamic/instance-identity/document")
    document = json.loads(text)

    assert status == "200"
    assert (document["region"], document["availabilityZone"]) == ("us-west-2", "us-west-2b")
    assert document["privateIp"] == str(imds.address("node-2"))
    assert document["instanceId"] == curl(imds, "node-2", f"{DATA}/instance-id")[1]


def test_odd_tokens_and_lives_are_refused(imds: Bed) -> None:
    """Neither letters beyond ASCII nor a number of 5,000 digits are the server's undoing."""
    for odd in ("é.é", "9" * 5000, ".", ""):
        asked = curl(
            imds, "node-1", "-H", f"{TOKEN}: {odd}" if odd else f"{TOKEN};", f"{DATA}/mac"
        )
        assert asked[0] == "401", odd
    assert token(imds, "node-1", "9" * 5000)[0] == "400"
    assert curl(imds, "node-1", f"{DATA}/mac")[0] == "200", "control: it still answers"
    assert curl(imds, "node-1", "-X", "POST", f"{DATA}/mac")[0] == "405"


def test_a_put_elsewhere_or_through_a_proxy_brings_no_token(imds: Bed) -> None:
    put = ("-X", "PUT", "-H", f"{TTL}: 60")

    assert curl(imds, "node-1", *put, f"{BASE}/2021-07-15/api/token")[0] == "403"
    forwarded = ("-H", "X-Forwarded-For: 192.0.2.1", f"{BASE}/latest/api/token")
    assert curl(imds, "node-1", *put, *forwarded) == ("403", "")
    assert curl(imds, "node-1", "-X", "PUT", f"{BASE}/latest/api/token")[0] == "400"


def test_the_hop_limit_of_1_keeps_tokens_from_pods(imds: Bed) -> None:
    """The token's packets come to the node with a TTL of 1, and it may not forward them."""
    assert token(imds, "node-1")[0] == "200", "control: the node itself gets one"
    assert token(imds.briefly, "web-0") == ("000", "")
    assert token(imds.briefly, "web-4") == ("000", ""), "by eth1's address too"

    assert curl(imds, "web-0", f"{DATA}/local-ipv4") == ("200", str(imds.address("node-1")))


def test_a_hop_limit_of_2_lets_pods_have_them(imds: Bed) -> None:
    status, given = token(imds, "client")

    assert status == "200"
    asked = curl(imds, "client", "-H", f"{TOKEN}: {given}", f"{DATA}/local-ipv4")
    assert asked == ("200", str(imds.address("node-2")))


def test_a_pod_on_the_nodes_network_is_the_node(imds: Bed) -> None:
    assert token(imds, "node-2")[0] == "200"


def test_gateways_and_load_balancers_are_told_nothing(imds: Bed) -> None:
    assert curl(imds, "elb-web-us-west-2a", f"{DATA}/mac") == ("404", "")


def test_the_dns_server_listens_at_its_link_local_address_too(imds: Bed) -> None:
    assert imds.tcp("node-1", "169.254.169.253", 53).delivered
