"""The drawing: a document of its own, in which nothing lies over anything else."""

import re
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import pytest

from testbed.explain.journey import RoundTrip
from testbed.explain.render.drawing import svg
from testbed.explain.render.layout import Layout, Rect
from testbed.explain.render.page import html
from testbed.explain.render.scene import Scene
from tests.explain import journeys

SVG = "{http://www.w3.org/2000/svg}"
TRIPS = {
    "same node": journeys.same_node(),
    "other node": journeys.other_node(),
    "internet": journeys.to_internet(),
    "source check": journeys.source_checked(),
    "node port": journeys.node_port(),
    "asymmetric": journeys.asymmetric(),
}


def _words(drawn: str) -> str:
    return "\n".join(
        text for element in ElementTree.fromstring(drawn).iter() for text in element.itertext()
    )


def _apart(one: Rect, other: Rect) -> bool:
    return (
        one.right <= other.x
        or other.right <= one.x
        or one.bottom <= other.y
        or other.bottom <= one.y
    )


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS)
def test_it_is_well_formed_and_shows_every_namespace(trip: RoundTrip) -> None:
    words = _words(svg(journeys.explained(trip)))

    for visit in trip.there.visits:
        assert visit.ns in words


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS)
def test_every_stop_has_its_number_once(trip: RoundTrip) -> None:
    drawn = ElementTree.fromstring(svg(journeys.explained(trip)))
    numbers = [one.text for one in drawn.iter(f"{SVG}text") if one.get("class") == "number"]

    assert sorted(int(text) for text in numbers if text and text.isdigit()) == list(
        range(1, len(trip.there.visits) + 1)
    )


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS)
def test_nothing_lies_over_anything_else(trip: RoundTrip) -> None:
    layout = Layout(Scene(journeys.explained(trip)))
    stands = [layout.boxes[stand.place.ns] for stand in layout.scene.stands()]
    pods = [layout.boxes[pod.ns] for stand in layout.scene.columns.values() for pod in stand.pods]
    cards = [drawn.rect for drawn in layout.cards.values()]

    for group in (stands, pods + cards, list(layout.ports.values())):
        for one, other in combinations(group, 2):
            assert _apart(one, other)


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS)
def test_what_is_on_a_stand_is_inside_it(trip: RoundTrip) -> None:
    layout = Layout(Scene(journeys.explained(trip)))

    for stand in layout.scene.stands():
        box = layout.boxes[stand.place.ns]
        inner = [layout.cards[card].rect for card in stand.cards]
        for rect in [*inner, *(layout.boxes[pod.ns] for pod in stand.pods)]:
            assert box.x < rect.x
            assert rect.right < box.right
            assert box.y < rect.y
            assert rect.bottom < box.bottom
    assert max(box.right for box in layout.boxes.values()) < layout.width


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS)
def test_the_lines_of_a_card_fit_on_it(trip: RoundTrip) -> None:
    """A letter of the 12.5 px font is 7.53 px wide in DejaVu Sans Mono, the widest of the list."""
    layout = Layout(Scene(journeys.explained(trip)))

    for drawn in layout.cards.values():
        for line in drawn.lines:
            assert 16 + drawn.indent + 7.53 * len(line.text) < drawn.rect.width


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS)
def test_wires_end_at_what_they_join(trip: RoundTrip) -> None:
    layout = Layout(Scene(journeys.explained(trip)))
    edges = [drawn.rect for drawn in layout.cards.values()] + list(layout.boxes.values())

    for wire in layout.wires:
        for x, y in (wire.points[0], wire.points[-1]):
            assert any(
                rect.x <= x <= rect.right and rect.y <= y <= rect.bottom for rect in edges
            ), wire


def test_no_two_wires_run_over_each_other() -> None:
    for trip in TRIPS.values():
        layout = Layout(Scene(journeys.explained(trip)))
        for one, other in combinations(layout.wires, 2):
            (x, top), (_, bottom) = sorted(one.points[:2], key=lambda point: point[1])
            (x2, top2), (_, bottom2) = sorted(other.points[:2], key=lambda point: point[1])
            if top != bottom and top2 != bottom2 and x == x2:
                assert bottom <= top2 or bottom2 <= top


def test_the_slide_tells_rules_tables_marks_and_translations() -> None:
    words = _words(svg(journeys.explained(journeys.to_internet())))

    assert "1024: from all fwmark 0x80/0x80 lookup main" in words
    assert "main: default via 10.0.1.1 dev eth0" in words
    assert "0x0 ⇒ 0x80" in words
    assert "10.0.1.13:40112 ⇒ 10.0.1.4:47751" in words


def test_a_drop_is_marked_and_the_place_not_reached_is_shown() -> None:
    words = _words(svg(journeys.explained(journeys.source_checked())))

    assert "✗" in words
    assert "ENI_SOURCE_DEST_CHECK_RESTRICTION" in words
    assert "client" in words
    assert "unreached" in svg(journeys.explained(journeys.source_checked()))


def test_names_cannot_break_out_of_the_drawing() -> None:
    answer = replace(journeys.explained(journeys.same_node()), source="</text><script>x</script>")

    assert "<script>" not in svg(answer)
    assert "<script>" not in html(answer)
    ElementTree.fromstring(svg(answer))


def test_a_place_nobody_described_is_drawn_too() -> None:
    """A lab grows faster than its drawings: an unknown namespace is a plain box."""
    answer = replace(journeys.explained(journeys.to_internet()), places=())

    assert "igw-main" in _words(svg(answer))


def test_the_page_needs_nothing_else() -> None:
    page = html(journeys.explained(journeys.other_node()))

    assert "<svg" in page
    assert "● " in page
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    assert "prefers-color-scheme: dark" in page
