"""What kube-proxy itself answers: of its own health, and to a load balancer of its node's.

Source: kubernetes v1.30 and v1.14, pkg/proxy/healthcheck and cmd/kube-proxy/app.  A
healthCheckNodePort has 200 where a Service has an endpoint that is ready on the node, 503 where it
has none, whatever the path.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from testbed.kubernetes.kube_proxy import Era
from testbed.net.endpoints import EVERY_ADDRESS, NOW, Listener, Page, Pages
from testbed.services.kube_proxy.ports import ProxiedPort

OK, UNAVAILABLE = "200 OK", "503 Service Unavailable"
JSON = ("Content-Type", "application/json")
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
TEXT = ("Content-Type", "text/plain; charset=utf-8")
WEIGHT = "X-Load-Balancing-Endpoint-Weight"  # since 1.27

Fields = tuple[tuple[str, str], ...]

HEALTHZ = 10256  # --healthz-bind-address=0.0.0.0:10256
METRICS = 10249  # --metrics-bind-address=127.0.0.1:10249
LOOPBACK = IPv4Address("127.0.0.1")


def own_listeners(node: str, era: Era) -> Iterator[Listener]:
    """kube-proxy's own ports on a node: `/healthz` for everybody, its mode for the node itself.

    Its rules are never older than 30 s, so it is healthy; no node of a lab is being deleted.
    """
    times = f'"lastUpdated": "{NOW}","currentTime": "{NOW}"'
    healthz = {"/healthz": Page(OK, f"{{{times}}}", (JSON,))}
    local: Fields = (TEXT,)
    if era != "1.14":
        fields: Fields = (JSON, NO_SNIFFING)
        eligible = Page(OK, f'{{{times}, "nodeEligible": true}}', fields)
        healthz = {"/healthz": eligible, "/livez": Page(OK, f"{{{times}}}", fields)}
        local = (TEXT, NO_SNIFFING)
    metrics = {"/healthz": Page(OK, "ok", local), "/proxyMode": Page(OK, "iptables", local)}
    for number, pages, address in (
        (HEALTHZ, healthz, EVERY_ADDRESS),
        (METRICS, metrics, LOOPBACK),
    ):
        yield Listener(
            netns=node,
            port=number,
            protocol="http",
            pod="",
            node=node,
            address=address,
            site=Pages(tuple(pages.items())),
        )


def health_listeners(ports: Iterable[ProxiedPort], node: str, era: Era) -> Iterator[Listener]:
    """The node ports that load balancers ask on a node."""
    for number, page in health_pages(ports, node, era):
        yield Listener(netns=node, port=number, protocol="http", pod="", node=node, page=page)


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
