"""The page and the charts that a run is shown with."""

from xml.etree import ElementTree

from bench import charts


def test_charts_are_svg_with_every_name_and_value() -> None:
    """A browser refuses what is not well-formed."""
    series = {"testbed": [(100, 950.0), (3000, 940.0)], "floor": [(100, 880.0), (3000, 870.0)]}

    lines = ElementTree.fromstring(charts.lines("Growth", series))
    bars = ElementTree.fromstring(charts.bars("Peers", {"testbed": 900.0, "mininet": 31000.0}))

    said = {text.text for drawing in (lines, bars) for text in drawing.iter() if text.text}
    assert {"Growth", "testbed", "floor", "100", "3000", "mininet", "31,000 µs"} <= said


def test_longer_takes_a_longer_bar() -> None:
    """The shortest comes first."""
    drawing = ElementTree.fromstring(charts.bars("Peers", {"slow": 9000.0, "quick": 90.0}))

    bars = [one for one in drawing.iter() if one.get("rx")]
    widths = [float(one.attrib["width"]) for one in bars]
    assert widths == sorted(widths)
    assert widths[0] < widths[1]
