"""Mistakes that people make, one by one: each is told once, with file, line and key."""

from pathlib import Path
from typing import NamedTuple

import pytest

from testbed.allocations import allocate
from testbed.daemon.changes.manifests import put
from testbed.errors import DescriptionError
from testbed.load import parse

HERE = Path(__file__).parent / "by_hand"
LAB = (HERE / "lab.yaml").read_text()
APPS = {
    next(line for line in text.splitlines() if line.startswith("kind: "))[6:]: text
    for text in (HERE / "app.yaml").read_text().split("---\n")
}


class Mistake(NamedTuple):
    """What is written instead of what, in the document of a kind, and where that is told."""

    kind: str
    old: str
    new: str
    told: str

    def in_text(self, text: str) -> str:
        """The text with the mistake in it."""
        assert text.count(self.old) >= 1, "premise"
        return text.replace(self.old, self.new, 1)


def mistakes(name: str) -> list[Mistake]:
    """What a file has, but for the words at its beginning."""
    kind, found = "", []
    lines: dict[str, list[str]] = {"-": [], "+": []}
    for line in (HERE / name).read_text().split("\n\n", 1)[1].splitlines():
        match line[0], line[2:]:
            case "#", text:
                kind = text
            case "!", told:
                old, new = ("\n".join(lines[sign]) for sign in "-+")
                found.append(Mistake(kind, old, new, told))
                lines = {"-": [], "+": []}
            case sign, text:
                lines[sign].append(text)
    return found


def named(mistake: Mistake) -> str:
    return f"{mistake.kind} {mistake.new}".strip()


@pytest.mark.parametrize("mistake", mistakes("wrong_topologies.txt"), ids=named)
def test_a_wrong_topology_is_told_at_its_place(mistake: Mistake) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse(mistake.in_text(LAB), "lab.yaml")

    assert str(caught.value.where) == mistake.told
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("mistake", mistakes("wrong_manifests.txt"), ids=named)
def test_a_wrong_manifest_is_told_at_its_place(mistake: Mistake) -> None:
    """On the way that `apply -f` takes it, into a lab that runs."""
    lab = parse(LAB, "lab.yaml")

    with pytest.raises(DescriptionError) as caught:
        put(lab, {"app.yaml": mistake.in_text(APPS[mistake.kind])}, given=allocate(lab))

    assert str(caught.value.where) == mistake.told
    assert "\n" not in caught.value.message


def test_without_mistakes_both_are_taken() -> None:
    lab = parse(LAB, "lab.yaml")

    _, changes = put(lab, {"app.yaml": (HERE / "app.yaml").read_text()}, given=allocate(lab))

    assert len(changes) == len(APPS)
