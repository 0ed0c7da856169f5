"""Who may call a load balancer: `spec.loadBalancerSourceRanges`, or the annotation before it.

kube-proxy knows the field alone.  Source: k8s.io/cloud-provider, service/helpers:
GetLoadBalancerSourceRanges.
"""

from ipaddress import IPv4Network

from testbed.kubernetes.model import Service

SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


def client_ranges(service: Service) -> tuple[IPv4Network, ...]:
    """The ranges of a Service's clients; none for everybody."""
    written = service.annotations.get(SOURCE_RANGES, "")
    return service.load_balancer_source_ranges or ranges(written)


def ranges(text: str) -> tuple[IPv4Network, ...]:
    """A list such as `192.0.2.0/24, 203.0.113.0/24`; host bits do not count.

    Raises ValueError.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    try:
        if not all("/" in part for part in parts):
            raise ValueError("a range has a prefix length")
        return tuple(IPv4Network(part, strict=False) for part in parts)
    except ValueError as error:
        raise ValueError(f'expected ranges such as "192.0.2.0/24": {error}') from error
