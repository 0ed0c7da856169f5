"""iptablesSyncPeriod: kube-proxy writes its rules again while a lab runs, and not without it."""

import pytest

from tests.cli.conftest import Commands
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

CLUSTER_IP = "-A KUBE-SERVICES -d"  # how the rule of a Service begins


def rules(lab: Commands) -> str:
    return lab.on("exec", "node-1", "--", "iptables-save", "-t", "nat")


def test_rules_come_back_by_themselves_in_a_cluster_that_wants_it(lab: Commands) -> None:
    services = ["exec", "node-1", "--", "iptables", "-t", "nat", "-F", "KUBE-SERVICES"]
    lab.on(*services)
    assert CLUSTER_IP not in rules(lab), "nobody brings them back: one may look"

    text = lab.file.read_text(encoding="utf-8")
    wanted = text.replace(
        "    vpc: main\n", "    vpc: main\n    kubeProxy: { iptablesSyncPeriod: 500ms }\n"
    )
    lab.file.write_text(wanted, encoding="utf-8")
    lab.up()
    lab.on(*services)

    wait_until(lambda: CLUSTER_IP in rules(lab))
    assert "facts as planned" in lab.on("verify")
