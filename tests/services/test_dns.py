"""Names and who answers for them, as values."""

from ipaddress import IPv4Address, IPv4Network

from testbed.allocations import allocate
from testbed.eks.model import EksCluster
from testbed.kubernetes.model import Node, Pod, Service, ServicePort
from testbed.lab import Lab
from testbed.plan import programs, resolvers
from testbed.services.load_balancers.naming import dns_name
from testbed.vpc.model import RouteEntry, RouteTable, Subnet, Vpc

TO_THE_INTERNET = RouteEntry(IPv4Network("0.0.0.0/0"), "internet-gateway")


def vpc(name: str = "main", zone: str = "us-west-2a") -> Vpc:
    return Vpc(
        name,
        (IPv4Network("10.0.0.0/16"), IPv4Network("10.1.0.0/16")),
        (
            Subnet(
                f"{name}-public", IPv4Network("10.0.0.0/24"), zone, map_public_ip_on_launch=True
            ),
        ),
        (RouteTable("main", (TO_THE_INTERNET,)),),
    )


def cluster(name: str, in_vpc: str) -> EksCluster:
    return EksCluster(
        name,
        in_vpc,
        (Node(f"{name}-1", f"{in_vpc}-public", "t3.small"),),
        (
            Pod(f"{name}-web"),
            Pod("dns", namespace=f"{name}-system"),
            Pod(f"{name}-host", host_network=True),
        ),
        services=(
            Service(name, {"app": "web"}, (ServicePort(80),), type="LoadBalancer"),
            Service("dns", {"app": "dns"}, (ServicePort(53),), namespace="kube-system"),
        ),
    )


EKS = cluster("eks", "main")
LAB = Lab("test", (vpc(),), (EKS,))
TWO_VPCS = Lab(
    "test",
    (vpc(), vpc("other", "us-east-1a")),
    (EKS, cluster("kops", "other")),
)


def configured(lab: Lab, netns: str) -> list[str]:
    """The lines a DNS server is told."""
    [text] = [
        dict(program.files)["dnsmasq.conf"]
        for program in programs(lab, allocate(lab))
        if program.netns == netns
    ]
    return text.splitlines()


def known(lab: Lab, netns: str) -> dict[str, set[str]]:
    """The records it is told: addresses by name."""
    records: dict[str, set[str]] = {}
    for line in configured(lab, netns):
        if line.startswith("host-record="):
            name, address, _ = line.removeprefix("host-record=").split(",")
            records.setdefault(name, set()).add(address)
    return records


def test_a_vpcs_server_answers_at_base_plus_two_and_asks_nobody() -> None:
    """Any other name does not exist; nothing leaves the lab."""
    lines = configured(LAB, "dns-main")

    assert "listen-address=10.0.0.2" in lines
    assert {"no-resolv", "no-hosts", "bind-interfaces", "address=/#/"} <= set(lines)


def test_it_needs_no_user_that_may_not_exist() -> None:
    assert {"user=root", "group=root", "pid-file="} <= set(configured(LAB, "dns-main"))


def test_services_have_the_clusters_names() -> None:
    names = known(LAB, "dns-main")

    assert names["eks.default.svc.cluster.local"] == {"172.20.0.2"}
    assert names["dns.kube-system.svc.cluster.local"] == {"172.20.0.3"}


def test_every_private_address_of_the_vpc_has_a_name() -> None:
    """ip-10-0-1-11.us-west-2.compute.internal, also of addresses of no instance."""
    lines = configured(LAB, "dns-main")

    assert "synth-domain=us-west-2.compute.internal,10.0.0.0/16,ip-" in lines
    assert "synth-domain=us-west-2.compute.internal,10.1.0.0/16,ip-" in lines


def test_every_address_of_pods_has_a_name_in_every_namespace() -> None:
    """CoreDNS' `pods insecure`; the private name, which comes last, is who has the address."""
    lines = [line for line in configured(LAB, "dns-main") if line.startswith("synth-domain")]

    for namespace in ("default", "kube-system", "eks-system"):
        assert f"synth-domain={namespace}.pod.cluster.local,10.0.0.0/16" in lines
    assert lines[-1] == "synth-domain=us-west-2.compute.internal,10.1.0.0/16,ip-"
    assert not any("pod.cluster.local" in line for line in configured(LAB, "internet"))


def test_the_oldest_region_has_names_without_a_region() -> None:
    assert "synth-domain=ec2.internal,10.0.0.0/16,ip-" in configured(TWO_VPCS, "dns-other")
    assert any(
        name.startswith("ec2-192-0-2-") and name.endswith(".compute-1.amazonaws.com")
        for name in known(TWO_VPCS, "internet")
    )


def test_a_load_balancers_name_stands_for_its_public_addresses_everywhere() -> None:
    """Also inside the VPC: it is a public name."""
    name = dns_name("eks", EKS.services[0], "us-west-2")
    public = {
        str(eni.public_ip)
        for eni in allocate(TWO_VPCS).enis
        if eni.instance == "elb-eks-us-west-2a"
    }

    for server in ("internet", "dns-main", "dns-other"):
        assert known(TWO_VPCS, server)[name] == public


def test_an_instances_public_name_stands_for_its_private_address_inside_its_vpc() -> None:
    enis = allocate(TWO_VPCS).enis
    [node] = [eni for eni in enis if (eni.instance, eni.device_index) == ("eks-1", 0)]
    name = f"ec2-{str(node.public_ip).replace('.', '-')}.us-west-2.compute.amazonaws.com"

    assert known(TWO_VPCS, "dns-main")[name] == {str(node.primary)}
    assert known(TWO_VPCS, "dns-other")[name] == {str(node.public_ip)}
    assert known(TWO_VPCS, "internet")[name] == {str(node.public_ip)}


def test_the_internet_does_not_know_what_is_inside() -> None:
    assert not any(name.endswith("cluster.local") for name in known(LAB, "internet"))
    assert not any("synth-domain" in line for line in configured(LAB, "internet"))


def test_a_cluster_in_another_vpc_is_not_known() -> None:
    assert "kops.default.svc.cluster.local" not in known(TWO_VPCS, "dns-main")


def test_a_pod_searches_its_own_namespace_first() -> None:
    """kubelet's dnsPolicy ClusterFirst."""
    texts = resolvers(LAB, allocate(LAB))

    assert texts["eks-web"] == (
        "nameserver 10.0.0.2\n"
        "search default.svc.cluster.local svc.cluster.local cluster.local"
        " us-west-2.compute.internal\n"
        "options ndots:5\n"
    )
    assert "search eks-system.svc.cluster.local svc." in texts["eks-system.dns"]


def test_a_node_searches_the_regions_private_names() -> None:
    """And a hostNetwork pod is in its node's namespace: it has no file of its own."""
    texts = resolvers(LAB, allocate(LAB))

    assert texts["eks-1"] == "nameserver 10.0.0.2\nsearch us-west-2.compute.internal\n"
    assert "eks-host" not in texts


def test_the_internet_asks_its_own_server() -> None:
    [address] = [
        IPv4Address(line.removeprefix("listen-address="))
        for line in configured(LAB, "internet")
        if line.startswith("listen-address=")
    ]

    assert resolvers(LAB, allocate(LAB))["internet"] == f"nameserver {address}\n"
    assert address.is_loopback
