"""Who may call a load balancer: the field, and the annotation that is older than it."""

from ipaddress import IPv4Network

import pytest

from testbed.errors import DescriptionError
from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.kubernetes.load_balancers.clients import SOURCE_RANGES, client_ranges
from testbed.kubernetes.manifests import parse
from testbed.kubernetes.model import Service
from testbed.services.kube_proxy.from_manifests import ports_of
from testbed.services.kube_proxy.rules import ProxyNode
from testbed.services.kube_proxy.text import node_text
from testbed.services.load_balancers.security_groups import clients
from testbed.services.load_balancers.source_ranges import limits_clients
from testbed.vpc.security.model import ANYWHERE

WEB = """\
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {{ {annotation}: "{text}" }}
spec: {{ type: {type}, clusterIP: 10.96.0.9, ports: [{{ port: 80, nodePort: 30080 }}]{more} }}
status: {{ loadBalancer: {{ ingress: [{{ ip: 192.0.2.1 }}] }} }}
"""


def web(text: str, more: str = "", kind: str = "LoadBalancer") -> str:
    return WEB.format(annotation=SOURCE_RANGES, text=text, more=more, type=kind)


def service(manifest: str) -> Service:
    [found] = parse({"app.yaml": manifest}).services
    return found


def test_the_annotation_counts_where_the_field_says_nothing() -> None:
    told = service(web("203.0.113.0/24, 198.51.100.7/24"))

    assert client_ranges(told) == clients(told)
    assert client_ranges(told) == (IPv4Network("203.0.113.0/24"), IPv4Network("198.51.100.0/24"))
    assert limits_clients(told)
    both = service(web("203.0.113.0/24", ", loadBalancerSourceRanges: [192.0.2.0/24]"))
    assert client_ranges(both) == (IPv4Network("192.0.2.0/24"),)


def test_an_empty_one_is_everybody() -> None:
    told = service(web(" "))

    assert clients(told) == (ANYWHERE,)
    assert not limits_clients(told)


def test_kube_proxy_knows_the_field_alone() -> None:
    """So in nothing but its load balancer's own rules, or security groups, the annotation is."""
    ports = ports_of(parse({"app.yaml": web("203.0.113.0/24")}), "current")

    assert "203.0.113.0" not in node_text(ports, KubeProxy(era="current"), ProxyNode())


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("203.0.113.0", "LoadBalancer", 'expected ranges such as "192.0.2.0/24"'),
        ("203.0.113.0/24,", "LoadBalancer", 'expected ranges such as "192.0.2.0/24"'),
        ("2001:db8::/32", "LoadBalancer", 'expected ranges such as "192.0.2.0/24"'),
        ("203.0.113.0/24", "NodePort", "may only be used when `type` is 'LoadBalancer'"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused(text: str, kind: str, said: str) -> None:
    without_status = web(text, kind=kind).partition("status")[0]

    with pytest.raises(DescriptionError) as refused:
        ports_of(parse({"app.yaml": without_status}), "current")

    assert str(refused.value).startswith(f'app.yaml:5: metadata.annotations["{SOURCE_RANGES}"]: ')
    assert said in str(refused.value)
