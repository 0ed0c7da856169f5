"""The listeners of a process that serves thousands, by descriptor, small while nobody comes."""

import pickle
import zlib
from array import array
from collections.abc import Collection, Iterator, Sequence

from testbed.kernel.machine.handover import MOST_DESCRIPTORS
from testbed.net.served.endpoints import Listener

BLOCK = MOST_DESCRIPTORS  # listeners: 0.3 ms to unpack, a tenth of their size as objects

# A listener and the number of the namespace it is in, for who asks.
Place = tuple[Listener, int]


class Listed:
    """Which listener a descriptor is, in blocks that are unpacked when somebody comes to one.

    State: the blocks, where in them a descriptor is, and those that are unpacked.
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._blocks: list[bytes] = []
        self._where = array("I")  # by descriptor: 1 + its number among all of all blocks; 0: none
        self._unpacked: dict[int, Sequence[Place]] = {}

    def __len__(self) -> int:
        return len(self._where) - self._where.count(0)

    def add(self, block: bytes, descriptors: Sequence[int]) -> None:
        """List what is packed in a block, with its descriptors in the same order."""
        first = 1 + len(self._blocks) * BLOCK
        self._blocks.append(block)
        for number, descriptor in enumerate(descriptors, first):
            self._where.extend([0] * (descriptor + 1 - len(self._where)))
            self._where[descriptor] = number

    def remove(self, listeners: Collection[Listener]) -> list[int]:
        """List these no more; their descriptors."""
        found = [*self._all()]
        staying = [(fd, place) for fd, place in found if place[0] not in listeners]
        self._clear()
        for start in range(0, len(staying), BLOCK):
            some = staying[start : start + BLOCK]
            self.add(packed([place for _, place in some]), [fd for fd, _ in some])
        return [fd for fd, place in found if place[0] in listeners]

    def of(self, descriptor: int) -> Listener | None:
        """The listener of a descriptor; none where it is not one's."""
        number = self._where[descriptor] if descriptor < len(self._where) else 0
        return self._place(number - 1)[0] if number else None

    def places(self) -> list[Place]:
        """All of them."""
        return [place for _, place in self._all()]

    def forget(self) -> None:
        """Be as small as can be."""
        self._unpacked.clear()

    @property
    def is_small(self) -> bool:
        """Whether there is nothing to forget."""
        return not self._unpacked

    def _all(self) -> Iterator[tuple[int, Place]]:
        for descriptor, number in enumerate(self._where):
            if number:
                yield descriptor, self._place(number - 1)

    def _place(self, number: int) -> Place:
        block, place = divmod(number, BLOCK)
        if block not in self._unpacked:
            self._unpacked[block] = _unpacked(self._blocks[block])
        return self._unpacked[block][place]


def packed(places: Sequence[Place]) -> bytes:
    """So many, at most BLOCK, as a block."""
    return zlib.compress(pickle.dumps(tuple(places), pickle.HIGHEST_PROTOCOL), 1)


def _unpacked(block: bytes) -> Sequence[Place]:
    places: Sequence[Place] = pickle.loads(zlib.decompress(block))
    return places
