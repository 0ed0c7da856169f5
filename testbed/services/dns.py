"""DNS as values: the records of a lab, dnsmasq's configuration, and each place's resolv.conf."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from testbed.net.served.programs import Program
from testbed.vpc.eni import Eni
from testbed.vpc.naming import ACCOUNT

PORT = 53
CLUSTER_DOMAIN = "cluster.local"  # kubelet --cluster-domain
SRV_PRIORITY = 0  # the only one there is in a cluster
SERVICE_TTL_S = 30  # kubernetes v1.14, cluster/addons/dns: kube-dns, and CoreDNS's Corefile
INSTANCE_TTL_S = 60  # what the Amazon-provided DNS server answers
FIRST_REGION = "us-east-1"  # whose names are older than regions, and have none in them
OUTSIDE_ADDRESS = IPv4Address("127.0.0.53")  # the resolver of the hosts of the internet
NDOTS = 5  # kubelet, pkg/kubelet/network/dns: defaultDNSOptions
ALONE = (  # dnsmasq in a namespace of its own, which knows nothing from elsewhere
    "keep-in-foreground",
    "log-facility=-",
    "pid-file=",
    "user=root",
    "group=root",
    "no-resolv",
    "no-hosts",
    "bind-interfaces",
)


@dataclass(frozen=True, order=True)
class Record:
    """An A record; a name may have several.  Its address has the deepest of its names (PTR)."""

    name: str
    address: IPv4Address
    ttl_s: int


@dataclass(frozen=True, order=True)
class Srv:
    """Where a port of a Service is served; `weight` of 100, shared by all of the name."""

    name: str
    target: str
    port: int
    weight: int


@dataclass(frozen=True, order=True)
class Alias:
    """A CNAME record: everything of `target` has this name too."""

    name: str
    target: str


@dataclass(frozen=True, order=True)
class Txt:
    """A TXT record."""

    name: str
    text: str


@dataclass(frozen=True)
class Synthetic:
    """A domain with a name for every address of some ranges: `ip-10-0-1-11.DOMAIN`."""

    domain: str
    ranges: tuple[IPv4Network, ...]
    prefix: str = ""


Known = Record | Srv | Alias | Txt


def public_records(enis: Iterable[Eni], region: str, *, inside: bool) -> Iterator[Record]:
    """`ec2-192-0-2-4.us-west-2.compute.amazonaws.com` for each instance with a public address.

    inside: as its own VPC sees it, where the name stands for the private address.
    """
    domain = "compute-1" if region == FIRST_REGION else f"{region}.compute"
    for eni in enis:
        if eni.public_ip and eni.interface_type == "interface":
            name = f"ec2-{_dashed(eni.public_ip)}.{domain}.amazonaws.com"
            yield Record(name, eni.primary if inside else eni.public_ip, INSTANCE_TTL_S)


def registry_name(region: str) -> str:
    """The name of a private registry of Amazon ECR in a region."""
    return f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com"


def private_domain(region: str) -> str:
    """The domain of instances' private names: `ip-10-0-1-11.us-west-2.compute.internal`."""
    return "ec2.internal" if region == FIRST_REGION else f"{region}.compute.internal"


def dns_server(
    netns: str,
    addresses: Iterable[IPv4Address],
    records: Iterable[Known],
    synthetic: Iterable[Synthetic] = (),
    *,
    of: str = "",
) -> Program:
    """A real dnsmasq that knows these names and no other; it asks nobody else.

    of: whose it is, where there are several in a namespace.
    synthetic: who has an address that no record has is answered with the last one's name.
    """
    known = frozenset(records)
    lines = [
        *ALONE,
        *[f"listen-address={address}" for address in addresses],
        "address=/#/",  # any other name is NXDOMAIN; without a server to ask it would be REFUSED
        f"local-ttl={SERVICE_TTL_S}",  # of SRV and instances' private names: they cannot tell one
        *[
            f"synth-domain={one.domain},{cidr}{f',{one.prefix}' if one.prefix else ''}"
            for one in synthetic
            for cidr in one.ranges
        ],
        *_host_records(one for one in known if isinstance(one, Record)),
        *_srv_hosts(one for one in known if isinstance(one, Srv)),
        *_cnames(one for one in known if isinstance(one, Alias)),
        *_texts(one for one in known if isinstance(one, Txt)),
    ]
    return Program(
        netns=netns,
        name=f"dnsmasq-{of}" if of else "dnsmasq",
        argv=("dnsmasq", "--conf-file={dir}/dnsmasq.conf"),
        files=(("dnsmasq.conf", "\n".join([*lines, ""])),),
        listens=(("udp", PORT), ("tcp", PORT)),
        why="names, answered by a real DNS server",
    )


def _host_records(records: Iterable[Record]) -> Iterator[str]:
    """The deepest names come first: dnsmasq answers who has an address with the first of them."""
    for one in sorted(records, key=lambda record: (-record.name.count("."), record)):
        yield f"host-record={one.name},{one.address},{one.ttl_s}"


def _srv_hosts(records: Iterable[Srv]) -> Iterator[str]:
    for one in sorted(records):
        yield f"srv-host={one.name},{one.target},{one.port},{SRV_PRIORITY},{one.weight}"


def _cnames(records: Iterable[Alias]) -> Iterator[str]:
    """A name has one target; dnsmasq would not start with names that lead round in a circle."""
    targets = {one.name: one.target for one in sorted(records, reverse=True)}
    for name, target in sorted(targets.items()):
        seen = {name}
        end = target
        while end in targets and end not in seen:
            seen.add(end)
            end = targets[end]
        if end not in seen:
            yield f"cname={name},{target},{SERVICE_TTL_S}"


def _texts(records: Iterable[Txt]) -> Iterator[str]:
    for one in sorted(records):
        yield f"txt-record={one.name},{one.text}"


def node_resolv(server: IPv4Address, region: str) -> str:
    """An instance's resolv.conf, as DHCP's options make it."""
    return _resolv(server, (private_domain(region),), ())


def pod_resolv(server: IPv4Address, region: str, namespace: str) -> str:
    """A pod's resolv.conf with dnsPolicy ClusterFirst; kubelet adds the node's domain at the end.

    ndots:5 lets `web.default.svc` be looked up in the domains before it is tried as it stands.
    """
    domains = (
        f"{namespace}.svc.{CLUSTER_DOMAIN}",
        f"svc.{CLUSTER_DOMAIN}",
        CLUSTER_DOMAIN,
        private_domain(region),
    )
    return _resolv(server, domains, (f"ndots:{NDOTS}",))


def outside_resolv() -> str:
    """The resolv.conf of the hosts of the internet."""
    return _resolv(OUTSIDE_ADDRESS, (), ())


def _resolv(server: IPv4Address, search: tuple[str, ...], options: tuple[str, ...]) -> str:
    lines = [f"nameserver {server}"]
    lines += [f"search {' '.join(search)}"] if search else []
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join([*lines, ""])


def _dashed(address: IPv4Address) -> str:
    return str(address).replace(".", "-")
