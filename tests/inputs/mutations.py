"""Topologies that somebody has changed without care: most are wrong, some are another good lab."""

import random
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml

Place = tuple[Any, ...]

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
SLIPS: list[Any] = [  # numbers at limits, addresses of every kind, names that are nearly right
    *(0, 1, -1, 2, 3, 17, 63, 64, 80, 255, 65535, 65536, 10**6, 2**31, 2**63, 1.5),
    *(True, False, None, "", "a" * 64, "ü", "x.y", "-a", "a-", "eth0", "lo", "internet"),
    *("10.0.0.0/8", "10.0.5.0/24", "0.0.0.0/0", "10.0.1.0/30", "10.0.1.0/28", "172.20.0.0/16"),
    *("10.0.1.9", "255.255.255.255", "127.0.0.1", "169.254.169.254", "224.0.0.1", "::/0"),
    *("100.64.0.0/10", "192.168.0.0/16", "80/tcp", "node-1/1", "vpc-main", "igw-main", "nat-a"),
]


def places(tree: Any, path: Place = ()) -> list[Place]:
    """The path of every value in a tree."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(tree, dict):
        inner = list(tree.items())
    elif isinstance(tree, list):
        inner = list(enumerate(tree))
    return [path, *[place for key, value in inner for place in places(value, (*path, key))]]


class Mutator:
    """Makes trees like those of some files (state: its dice).  The same seed, the same trees."""

    def __init__(self, files: list[Path], seed: int) -> None:
        self.dice = random.Random(seed)
        self.trees = [yaml.safe_load(file.read_text()) for file in files]
        self.values = [reduce(getitem, path, tree) for tree in self.trees for path in places(tree)]
        self.words = sorted({str(path[-1]) for tree in self.trees for path in places(tree)[1:]})

    def tree(self) -> Any:
        """One of the files' trees with one to three changes."""
        tree = deepcopy(self.dice.choice(self.trees))
        for _ in range(self.dice.choice([1, 1, 2, 3])):
            self._change(tree, self.dice.choice(places(tree)[1:] or [()]))
        return tree

    def _change(self, tree: Any, place: Place) -> None:
        if not place:
            return
        parent = reduce(getitem, place[:-1], tree)
        match self.dice.randrange(5):
            case 0 | 1:
                parent[place[-1]] = self._value()
            case 2:
                del parent[place[-1]]
            case 3 if isinstance(parent, dict):
                parent[self.dice.choice(self.words)] = parent.pop(place[-1])
            case 4 if isinstance(parent, dict):
                copy = f"{place[-1]}{self.dice.choice(['x', '-0', '2'])}"
                parent[copy] = deepcopy(parent[place[-1]])
            case _:
                parent[place[-1]] = self.dice.choice(SLIPS)

    def _value(self) -> Any:
        """A value that stands somewhere, a slip, or a few of these together."""
        match self.dice.randrange(8):
            case 0:
                return [self._value() for _ in range(self.dice.randrange(3))]
            case 1:
                return {self.dice.choice(self.words): self._value()}
            case 2 | 3 | 4:
                return self.dice.choice(SLIPS)
        return deepcopy(self.dice.choice(self.values))
