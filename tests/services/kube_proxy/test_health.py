"""The answer to a load balancer's health check, byte for byte."""

from dataclasses import replace
from ipaddress import IPv4Address

from testbed.services.endpoints import Backend
from testbed.services.kube_proxy.health import health_pages
from testbed.services.kube_proxy.ports import ProxiedPort

HERE = Backend(IPv4Address("10.2.0.1"), 8080, "n1", "web-0")
PORT = ProxiedPort(
    name="shop/web:http",
    protocol="tcp",
    cluster_ip=IPv4Address("172.20.0.7"),
    port=80,
    namespace="shop",
    service="web",
    health_check_node_port=30123,
    backends=(HERE, HERE._replace(ip=IPv4Address("10.2.0.2"), ready=False)),
)


def test_a_node_with_an_endpoint_is_healthy_today():
    [(number, page)] = health_pages([PORT], "n1", "current")

    assert (number, page.status) == (30123, "200 OK")
    assert page.content == (
        '{\n\t"service": {\n\t\t"namespace": "shop",\n\t\t"name": "web"\n\t},\n'
        '\t"localEndpoints": 1,\n\t"serviceProxyHealthy": true\n}'
    )
    assert ("X-Load-Balancing-Endpoint-Weight", "1") in page.fields


def test_another_node_is_not_and_1_14_says_less():
    [(_, page)] = health_pages([PORT], "n2", "1.14")

    assert page.status == "503 Service Unavailable"
    assert page.content.endswith('"localEndpoints": 0\n}')
    assert [name for name, _ in page.fields] == ["Content-Type", "X-Content-Type-Options"]


def test_the_ports_of_a_service_share_its_check_and_its_pods_count_once():
    other = replace(PORT, name="shop/web:https", backends=(HERE._replace(port=8443),))

    [(_, page)] = health_pages([PORT, other], "n1", "current")

    assert '"localEndpoints": 1' in page.content


def test_endpoints_that_end_do_not_count_although_they_serve():
    ending = replace(PORT, backends=(HERE._replace(ready=False, terminating=True),))

    [(_, page)] = health_pages([ending], "n1", "current")

    assert page.status.startswith("503")
