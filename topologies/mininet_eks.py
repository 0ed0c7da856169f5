"""The lab of eks.yaml for Mininet's own `mn`, which reads this file.

    sudo .venv/bin/mn --custom topologies/mininet_eks.py --topo eks --test pingall
    sudo .venv/bin/mn --custom topologies/mininet_eks.py --topo eks,2,3

Without a test it asks for commands.  The second lab has two nodes with three pods each.  Either
is this mn's own and ends with it.
"""

from dataclasses import replace
from pathlib import Path

try:
    from testbed.kubernetes.model import Node, Pod
    from testbed.lab import Lab
    from testbed.load import load
    from testbed.mininet import custom
except BaseException as error:  # noqa: BLE001 - mn would answer it with its clean-up
    raise SystemExit(f"error: {error!r}: use this project's mn, sudo .venv/bin/mn …") from None

custom.install()


def eks(nodes: int = 0, pods: int = 0) -> Lab:
    """The lab of eks.yaml, or one with so many nodes and so many pods on each."""
    if not nodes:
        return lab
    [cluster] = lab.clusters
    instances = [
        Node(f"node-{i}", subnet=f"private-{'ba'[i % 2]}", instance_type="t3.small")
        for i in range(1, nodes + 1)
    ]
    placed = [
        Pod(f"pod-{node.name.removeprefix('node-')}-{i}", node=node.name)
        for node in instances
        for i in range(1, pods + 1)
    ]
    smaller = replace(cluster, nodes=instances, pods=placed, services=())
    return replace(lab, clusters=(smaller,))


FOLDER = Path(eks.__code__.co_filename).parent  # mn gives a custom file no __file__
lab = load(FOLDER / "eks.yaml")
topos = {"eks": eks}
