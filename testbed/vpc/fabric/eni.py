"""An ENI as links: one veth pair, `ethN` in its instance and a port of the VPC's fabric."""

from testbed.net import names
from testbed.net.facts import Veth
from testbed.vpc.eni import Eni
from testbed.vpc.naming import router


def nat_netns(gateway: str) -> str:
    """The namespace of a NAT gateway, which is also its ENI's `instance`."""
    return gateway if gateway.startswith("nat-") else f"nat-{gateway}"


def device(eni: Eni) -> str:
    """The link's name in the instance: `eth0` for the primary ENI."""
    return f"eth{eni.device_index}"


def port(eni: Eni) -> str:
    """The link's name in the fabric: `node-1-e0`."""
    return names.device(f"{eni.instance}-e{eni.device_index}")


def instance_side(eni: Eni, mtu: int) -> Veth:
    """The end the instance sees; it has the ENI's MAC.

    mtu in bytes.
    """
    return Veth(
        ns=eni.instance,
        name=device(eni),
        peer_ns=router(eni.vpc),
        peer=port(eni),
        mac=eni.mac,
        mtu=mtu,
        why="an ENI: a link of the instance, with the ENI's MAC (EC2 User Guide)",
    )


def vpc_side(eni: Eni, mtu: int) -> Veth:
    """The end in the fabric.

    mtu in bytes.
    """
    ns = router(eni.vpc)
    return Veth(
        ns=ns,
        name=port(eni),
        peer_ns=eni.instance,
        peer=device(eni),
        mac=names.mac(ns, port(eni)),
        mtu=mtu,
        why=f"where {eni.instance}'s ENI {eni.id} meets the fabric of the VPC",
    )
