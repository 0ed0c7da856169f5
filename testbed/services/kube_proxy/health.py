"""What kube-proxy itself answers: of its own health, and to a load balancer of its node's.

Source: kubernetes v1.30 and v1.14, pkg/proxy/healthcheck and cmd/kube-proxy/app.  A
healthCheckNodePort has 200 where a Service has an endpoint that is ready on the node, 503 where it
has none, whatever the path.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from testbed.kubernetes.kube_proxy import Era, KubeProxy
from testbed.net.served.endpoints import NOW, Listener, Page, Pages
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import ProxyNode

OK, UNAVAILABLE = "200 OK", "503 Service Unavailable"
JSON = ("Content-Type", "application/json")
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
TEXT = ("Content-Type", "text/plain; charset=utf-8")
WEIGHT = "X-Load-Balancing-Endpoint-Weight"  # since 1.27


def own_listeners(proxy: KubeProxy, node: ProxyNode) -> Iterator[Listener]:
    """kube-proxy's own ports on a node: its health, by default for all, and for itself its mode.

    Its rules are never older than 30 s, so it is healthy as long as the node stays.
    """
    for bound, pages in (
        (proxy.healthz_bind_address, _healthz(proxy, node)),
        (proxy.metrics_bind_address, _metrics(proxy)),
    ):
        address, _, port = bound.rpartition(":")
        if bound:
            yield Listener(
                netns=node.name,
                port=int(port),
                protocol="http",
                pod="",
                node=node.name,
                address=IPv4Address(address),
                site=Pages(tuple(pages.items())),
            )


def _healthz(proxy: KubeProxy, node: ProxyNode) -> dict[str, Page]:
    times = f'"lastUpdated": "{NOW}","currentTime": "{NOW}"'
    if proxy.era == "1.14":
        return {"/healthz": Page(OK, f"{{{times}}}", (JSON,))}
    fields, status = (JSON, NO_SNIFFING), UNAVAILABLE if node.terminating else OK
    eligible = "false" if node.terminating else "true"
    return {
        "/healthz": Page(status, f'{{{times}, "nodeEligible": {eligible}}}', fields),
        "/livez": Page(OK, f"{{{times}}}", fields),
    }


def _metrics(proxy: KubeProxy) -> dict[str, Page]:
    fields = (TEXT,) if proxy.era == "1.14" else (TEXT, NO_SNIFFING)
    return {"/healthz": Page(OK, "ok", fields), "/proxyMode": Page(OK, proxy.mode, fields)}


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
