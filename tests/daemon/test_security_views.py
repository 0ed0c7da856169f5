"""What `get securitygroups` and `get networkacls` say."""

from pathlib import Path

from testbed.allocations import allocate
from testbed.daemon.shown.security import acl_rows, group_rows
from testbed.load import load


def test_groups_are_listed_with_rules_and_interfaces(topologies: Path) -> None:
    """The ones that nobody described too: every interface is in one of them."""
    lab = load(topologies / "security.yaml")
    allocations = allocate(lab)
    rows = {row["name"]: row for row in group_rows(lab, allocations)}

    assert set(rows) == {"default", "eks-cluster-sg-eks", "bastion", "web", "db"}
    assert rows["web"]["ingress"][0] == "tcp 80 0.0.0.0/0"
    assert rows["db"]["egress"] == []
    listed = [eni for row in rows.values() for eni in row["interfaces"]]
    assert sorted(listed) == sorted(eni.id for eni in allocations.enis)


def test_acls_are_listed_in_the_order_of_their_numbers(topologies: Path) -> None:
    lab = load(topologies / "security.yaml")
    [row] = acl_rows(lab, allocate(lab))

    assert (row["name"], row["subnets"]) == ("data", ["data"])
    assert row["ingress"] == ["90 deny all 10.0.101.0/24", "100 allow tcp 7 10.0.0.0/16"]
