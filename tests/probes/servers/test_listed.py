"""What a process serves takes little while nobody comes, and is the same when somebody does."""

import sys
from collections.abc import Sequence
from ipaddress import IPv4Address

from testbed.net.served.endpoints import Listener
from testbed.probes.servers.listed import BLOCK, Listed, Place, packed


def places(count: int) -> list[Place]:
    return [
        (
            Listener(
                netns=f"pod-{i}",
                port=80,
                protocol="http",
                pod=f"pod-{i}",
                node=f"node-{i % 7}",
                address=IPv4Address(i),
            ),
            4026531840 + i,
        )
        for i in range(count)
    ]


def add(listed: Listed, known: Sequence[Place], descriptors: Sequence[int]) -> None:
    for start in range(0, len(known), BLOCK):
        end = start + BLOCK
        listed.add(packed(known[start:end]), descriptors[start:end])


def test_a_descriptor_is_its_listener_before_and_after_it_was_forgotten() -> None:
    """Descriptors come as the kernel has them: neither in order nor without gaps."""
    known = places(2 * BLOCK + 3)
    descriptors = [5 + 3 * i for i in reversed(range(len(known)))]
    listed = Listed()

    add(listed, known[:10], descriptors[:10])
    add(listed, known[10:], descriptors[10:])

    for _ in range(2):
        found = [listed.of(descriptor) for descriptor in descriptors]
        assert found == [listener for listener, _ in known]
        assert not listed.is_small
        listed.forget()
        assert listed.is_small
    assert sorted(listed.places(), key=str) == sorted(known, key=str)
    assert [listed.of(number) for number in (0, 4, 6, 10**6)] == [None] * 4


def test_what_is_removed_gives_its_descriptors_back_and_the_others_stay() -> None:
    known = places(BLOCK + 50)
    listed = Listed()
    add(listed, known, range(100, 100 + len(known)))
    leaving = {listener for listener, _ in known[40:60]}

    assert listed.remove(leaving) == [*range(140, 160)]

    assert listed.of(139) == known[39][0]
    assert listed.of(140) is None
    assert listed.of(160) == known[60][0]
    assert sorted(listed.places(), key=str) == sorted([*known[:40], *known[60:]], key=str)
    add(listed, known[40:60], range(140, 160))
    assert listed.of(159) == known[59][0]


def test_packed_a_listener_is_a_tenth_of_what_it_is_unpacked() -> None:
    """The reason for all this: thousands of pods, at which nobody looks."""
    known = places(3 * BLOCK)
    listed = Listed()
    add(listed, known, range(len(known)))

    small = sum(map(len, listed._blocks)) + listed._where.itemsize * len(known)

    assert small * 10 < sum(
        sys.getsizeof(listener) + sys.getsizeof(listener.netns) + sys.getsizeof(listener.address)
        for listener, _ in known
    )
