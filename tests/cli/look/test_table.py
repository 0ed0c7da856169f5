"""Tables: columns in line, and no line too long to be read."""

from hypothesis import given
from hypothesis import strategies as st

from testbed.cli.table import WIDEST, table

WHY = "the gateway is the node's end of the veth: no ARP is needed, and none is answered"


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [{"name": "a", "publicIp": "192.0.2.1", "empty": ""}, {"name": "long", "publicIp": ""}]

    assert table(rows) == "NAME   PUBLIC-IP\na      192.0.2.1\nlong"
    assert table([]) == "there are none"


def test_the_last_column_gives_way_first():
    """It tells why: what one looks for stays on its line."""
    text = "10.0.2.7 dev private-b table 1000 scope link src 10.0.2.1, and as long as they come"
    shown = table([{"ns": "node-1", "text": text, "why": WHY}]).splitlines()

    assert text in shown[1]
    assert max(map(len, shown)) <= WIDEST
    assert " ".join(line[len("node-1   ") + len(text) :].strip() for line in shown[1:]) == WHY


def test_a_list_goes_on_behind_a_comma():
    enis = [f"eni-{number:017x}" for number in range(12)]
    shown = table([{"name": "default", "enis": enis, "mac": "02:00:00:00:00:01"}]).splitlines()

    assert max(map(len, shown)) <= WIDEST
    assert all(any(eni in line for line in shown) for eni in enis)


def test_wide_folds_nothing():
    assert len(table([{"why": WHY * 3}], folded=False).splitlines()) == 2


WORDS = st.lists(st.text("abc,", min_size=1, max_size=29), max_size=20).map(" ".join)


@given(st.lists(st.fixed_dictionaries({"a": WORDS, "b": WORDS, "c": WORDS, "d": WORDS})))
def test_nothing_is_lost_and_no_line_is_too_long(rows: list[dict[str, str]]):
    """Words of less than 30 letters: four columns of them always fit."""
    shown = table(rows)

    assert max(map(len, shown.splitlines())) <= WIDEST
    assert sorted(shown.replace(" ", "").replace("\n", "")) == sorted(
        table(rows, folded=False).replace(" ", "").replace("\n", "")
    )
