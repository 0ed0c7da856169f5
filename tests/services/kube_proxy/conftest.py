"""What the tests of kube-proxy's rules share: manifests in, chains out."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.kubernetes.manifests import parse
from testbed.net.netfilter.iptables import parse_save
from testbed.services.kube_proxy.from_manifests import ports_of
from testbed.services.kube_proxy.rules import ProxyNode
from testbed.services.kube_proxy.text import node_text

Rules = dict[str, list[str]]
Rendered = Callable[..., Rules]


@pytest.fixture
def rendered() -> Rendered:
    """The rules on node `me`, 10.1.0.1, for manifests: by table and chain."""

    def render(manifests: str, **flags: Any) -> Rules:
        proxy = KubeProxy(**{"era": "current", "cluster_cidr": IPv4Network("10.0.0.0/8"), **flags})
        assert proxy.era
        node = ProxyNode(
            name="me",
            ip=IPv4Address("10.1.0.1"),
            addresses=(IPv4Address("127.0.0.1"), IPv4Address("10.1.0.1")),
            pod_cidr=IPv4Network("10.2.3.0/24"),
        )
        text = node_text(ports_of(parse({"app.yaml": manifests}), proxy.era), proxy, node)
        return {
            f"{chain.table} {chain.name}": [str(rule) for rule in chain.rules]
            for chain in parse_save("me", text)
        }

    return render
