"""What one endpoint more costs a node: its own chains and the ones that choose, nothing else."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.kubernetes.kube_proxy import ERAS, Era, KubeProxy
from testbed.net.facts import Chain
from testbed.net.netfilter.iptables import changes_text
from testbed.services.endpoints import Backend
from testbed.services.kube_proxy.node import node_facts
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import ProxyNode


def port(number: int, endpoints: int) -> ProxiedPort:
    """One of many Services."""
    return ProxiedPort(
        name=f"default/web-{number}:http",
        protocol="tcp",
        cluster_ip=IPv4Address("172.20.0.10") + number,
        port=80,
        backends=tuple(
            Backend(IPv4Address("10.0.0.1") + 100 * number + i, 80, "n1", f"web-{number}-{i}")
            for i in range(endpoints)
        ),
    )


def chains(ports: list[ProxiedPort], era: Era) -> list[Chain]:
    facts = node_facts([ProxyNode(name="n1")], ports, KubeProxy(era=era, cluster_cidr=""))
    return [fact for fact in facts if isinstance(fact, Chain)]


@pytest.mark.parametrize("era", ERAS)
def test_an_endpoint_that_goes_is_a_small_transaction(era: Era):
    """Of 50 Services with 10 endpoints each: one chain is emptied and written, one is deleted."""
    before = [port(number, 10) for number in range(50)]
    after = [replace(before[0], backends=before[0].backends[:-1]), *before[1:]]

    lines = changes_text(chains(before, era), chains(after, era)).splitlines()

    assert sum(line.startswith("-A KUBE-SVC-") for line in lines) == 9
    assert sum(line.startswith("-X KUBE-SEP-") for line in lines) == 1
    assert len(lines) == len(["*nat", ":SVC", ":SEP", *["-A"] * 9, "-X", "COMMIT"])
