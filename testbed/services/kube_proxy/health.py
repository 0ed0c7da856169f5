"""healthCheckNodePort: what kube-proxy tells a load balancer of its node.

Source: kubernetes v1.30 and v1.14, pkg/proxy/healthcheck: 200 where a Service has an endpoint that
is ready on the node, 503 where it has none, whatever the path.
"""

from collections.abc import Iterable, Iterator

from testbed.kubernetes.kube_proxy import Era
from testbed.net.endpoints import Page
from testbed.services.kube_proxy.ports import ProxiedPort

OK, UNAVAILABLE = "200 OK", "503 Service Unavailable"
JSON = ("Content-Type", "application/json")
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
WEIGHT = "X-Load-Balancing-Endpoint-Weight"  # since 1.27


def health_pages(ports: Iterable[ProxiedPort], node: str, era: Era) -> Iterator[tuple[int, Page]]:
    """The node ports with health checks, and the answer of each on a node."""
    local: dict[int, set[str]] = {}
    services: dict[int, ProxiedPort] = {}
    for port in ports:
        if number := port.health_check_node_port:
            own = (one for one in port.backends if one.ready and one.node == node)
            local.setdefault(number, set()).update(str(one.ip) for one in own)
            services[number] = port
    for number, port in services.items():
        yield number, _page(port, len(local[number]), era)


def _page(port: ProxiedPort, endpoints: int, era: Era) -> Page:
    """As Go prints it: tabs, and the fields in this order."""
    today = era != "1.14"
    lines = [
        "{",
        '\t"service": {',
        f'\t\t"namespace": "{port.namespace}",',
        f'\t\t"name": "{port.service}"',
        "\t},",
        f'\t"localEndpoints": {endpoints}{"," if today else ""}',
        *(['\t"serviceProxyHealthy": true'] if today else []),
        "}",
    ]
    fields = (JSON, NO_SNIFFING, *([(WEIGHT, str(endpoints))] if today else []))
    return Page(OK if endpoints else UNAVAILABLE, "\n".join(lines), fields)
