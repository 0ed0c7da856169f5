"""How nft spells what rules of kube-proxy hold: ranges of addresses, times, who is a pod."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, summarize_address_range

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.services.kube_proxy.rules import ProxyNode

UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def duration(seconds: int) -> str:
    """`3h`, `1d`, `1m30s`."""
    found = ""
    for unit, size in UNITS:
        count, seconds = divmod(seconds, size)
        found += f"{count}{unit}" if count else ""
    return found


def networks(ranges: Iterable[IPv4Network], hosts: Iterable[IPv4Address] = ()) -> str:
    """`10.0.0.0/8`, or `{ 5.6.7.8, 10.0.0.0/8 }`: in order, and merged where they touch."""
    spans = [(int(one[0]), int(one[-1])) for one in ranges]
    texts = [*map(_span, _merged([*spans, *((int(host), int(host)) for host in hosts)]))]
    return texts[0] if len(texts) == 1 else f"{{ {', '.join(texts)} }}"


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    ordered = sorted(spans)
    first, last = ordered[0]
    for start, end in ordered[1:]:
        if start > last + 1:
            yield first, last
            first = start
        last = max(last, end)
    yield first, last


def _span(span: tuple[int, int]) -> str:
    """`5.6.7.8`, `10.0.0.0/8`, and what no prefix stands for as `10.0.0.0-10.0.2.255`."""
    first, last = map(IPv4Address, span)
    covering = list(summarize_address_range(first, last))
    if len(covering) > 1:
        return f"{first}-{last}"
    return str(covering[0]).removesuffix("/32")


def pods_match(proxy: KubeProxy, node: ProxyNode, *, negated: bool = False) -> str:
    """kube-proxy's own way to tell pods from others; empty where it was told none.

    Interfaces by name, as releases after 1.30 do it: its `iif` takes one that is there, and no
    beginning of a name (pkg/proxy/util/localdetector.go).
    """
    no = "!= " if negated else ""
    match proxy.detect_local_mode:
        case "ClusterCIDR":
            return f"ip saddr {no}{networks([proxy.cluster_cidr])}" if proxy.cluster_cidr else ""
        case "NodeCIDR":
            return f"ip saddr {no}{networks([node.pod_cidr])}" if node.pod_cidr else ""
        case "BridgeInterface":
            return f'iifname {no}"{proxy.pod_interface}"'
        case "InterfaceNamePrefix":
            return f'iifname {no}"{proxy.pod_interface}*"'
