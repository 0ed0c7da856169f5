"""Inbound rules that name groups of VPCs which a transit gateway attaches."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.errors import DescriptionError
from testbed.lab import Lab
from testbed.load import parse

pytestmark = pytest.mark.kernel

SUPPORT = "securityGroupReferencingSupport"
RULE = "web: { ingress: [{ protocol: tcp, ports: 80, group: shared/tools }] }"
LAB = f"""
testbed: v1
name: attached
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets: {{ main-a: {{ cidr: 10.0.1.0/24, availabilityZone: us-west-2a }} }}
    routeTables: {{ main: {{ 10.8.0.0/16: hub }} }}
    securityGroups:
      {RULE}
    instances: {{ web: {{ subnet: main-a, securityGroups: [web] }} }}
  shared:
    cidrs: [10.8.0.0/16]
    subnets: {{ shared-a: {{ cidr: 10.8.1.0/24, availabilityZone: us-west-2a }} }}
    routeTables: {{ main: {{ 10.0.0.0/16: hub }} }}
    securityGroups: {{ tools: , others: }}
    instances:
      tool: {{ subnet: shared-a, securityGroups: [tools] }}
      other: {{ subnet: shared-a, securityGroups: [others] }}
transitGateways:
  hub:
    {SUPPORT}: true
    attachments:
      main: {{ vpc: main, subnets: [main-a] }}
      shared: {{ vpc: shared, subnets: [shared-a] }}
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Bed]:
    """Two VPCs at one transit gateway; the group of one lets a group of the other in."""
    with bring_up(parse(LAB, "attached.yaml")) as up:
        yield up


def test_an_inbound_rule_names_a_group_across_a_transit_gateway(lab: Bed) -> None:
    assert lab.tcp("tool", "web", 80).delivered
    assert not lab.briefly.tcp("other", "web", 80).delivered
    assert lab.path("other", "web").code == "ENI_SG_RULES_MISMATCH"


def without_gateways(of: Lab) -> Lab:
    [gateway] = of.transit_gateways
    return replace(
        of, transit_gateways=(replace(gateway, security_group_referencing_support=False),)
    )


def without_attachments(of: Lab) -> Lab:
    """Of the sender's VPC; the other one's counts as much."""
    [gateway] = of.transit_gateways
    main, shared = gateway.attachments
    off = (main, replace(shared, security_group_referencing_support=False))
    return replace(of, transit_gateways=(replace(gateway, attachments=off),))


@pytest.mark.parametrize("without", [without_gateways, without_attachments])
def test_gateway_and_attachments_have_to_support_it(
    lab: Bed, without: Callable[[Lab], Lab]
) -> None:
    """Switched off on a running lab, the rule stays and lets nobody in."""
    whole = lab.lab

    lab.up(without(whole))
    try:
        assert not lab.briefly.tcp("tool", "web", 80).delivered
        assert lab.path("tool", "web").code == "ENI_SG_RULES_MISMATCH"
        assert not lab.drift()
    finally:
        lab.up(whole)
    assert lab.tcp("tool", "web", 80).delivered


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (f"    {SUPPORT}: true\n", "", 'there is no security group "shared/tools"'),
        (
            "subnets: [main-a] }",
            f"subnets: [main-a], {SUPPORT}: false }}",
            'there is no security group "shared/tools"',
        ),
        (
            RULE,
            RULE.replace("ingress", "egress"),
            'through a transit gateway inbound rules alone name "shared/tools"',
        ),
    ],
)
def test_what_names_a_group_that_it_may_not_is_refused(old: str, new: str, words: str) -> None:
    """Off is the gateway's default, on the attachments'; outbound rules name none."""
    assert old in LAB

    with pytest.raises(DescriptionError) as refused:
        parse(LAB.replace(old, new), "attached.yaml")

    assert words in str(refused.value)
    assert "(InvalidGroup.NotFound)" in str(refused.value)
    assert "vpcs.main.securityGroups.web" in str(refused.value)
