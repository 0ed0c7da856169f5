"""A YAML text becomes plain data that knows its lines, or one message with the line to look at."""

import pytest

from testbed.description.document import read
from testbed.errors import DescriptionError


def error_of(text: str) -> DescriptionError:
    """What a wrong text is answered with."""
    with pytest.raises(DescriptionError) as caught:
        read(text, "my.yaml")
    return caught.value


def test_scalars_are_those_of_yaml_1_2() -> None:
    """In YAML 1.1 `no` and `on` are booleans, 12:30 is 750, 010 is 8 and the date is a date."""
    text = (
        "a: [no, on, 12:30, 010, 2019-12-01, 1.5, 1_000, =]\nb: [true, 7, -7, 0x80, ~, null]\nc:"
    )

    assert read(text, "my.yaml").data == {
        "a": ["no", "on", "12:30", "010", "2019-12-01", "1.5", "1_000", "="],
        "b": [True, 7, -7, 128, None, None],
        "c": None,
    }


def test_what_stands_in_quotes_is_text() -> None:
    """The advice that errors give works."""
    assert read("\"123\": 'true'\n!!str 7: '~'", "my.yaml").data == {"123": "true", "7": "~"}


def test_anchors_and_aliases_repeat_a_value() -> None:
    """YAML's own way to say a thing once."""
    text = "a: &node {subnet: x}\nb: *node\n"

    assert read(text, "my.yaml").data == {"a": {"subnet": "x"}, "b": {"subnet": "x"}}


def test_aliases_of_aliases_cost_nothing() -> None:
    """Ten to the hundredth values, if each were read by itself."""
    lines = ["a0: &a0 x", *[f"a{i}: &a{i} [{f'*a{i - 1},' * 10}]" for i in range(1, 100)]]

    assert len(read("\n".join(lines), "my.yaml").data) == 100


def test_a_path_has_the_line_of_its_last_step_that_is_written() -> None:
    """A missing key is looked for where it should be; `web-1` is written as `web`."""
    text = "a:\n  list:\n    - x\n    - name: second\n      key: value\n  web:\n    replicas: 2\n"

    document = read(text, "my.yaml")

    assert document.line(()) == 1
    assert document.line(("a", "list", 1, "key")) == 5
    assert document.line(("a", "list", "second", "key")) == 5
    assert document.line(("a", "web-1", "replicas")) == 7
    assert document.line(("a", "web-1", "missing")) == 6
    assert document.line(("a", "missing", "key")) == 1


def test_one_name_in_two_kubernetes_namespaces_has_two_lines() -> None:
    """`tools.db` is the one that says so, wherever it stands."""
    text = "- name: db\n  namespace: tools\n- name: db\n- {name: db, namespace: other}\n"
    document = read(f"services:\n{text}", "my.yaml")

    assert document.line(("services", "tools.db")) == 2
    assert document.line(("services", "db")) == 4
    assert document.line(("services", "other.db")) == 5
    assert document.line(("services", "tools.db-1")) == 2, "a replica"


SYNTAX = {
    "a tab": ("name: a\n\tx: b\n", 2, "indent with spaces"),
    "an open quote": ('name: a\nx: "b\ny: c\n', 2, "a quote is not closed"),
    "an open bracket": ("name: a\nx: [b\ny: c\n", 3, "a bracket is not closed"),
    "a bracket open to the end": ("name: a\nx: [b,\n", 3, "a bracket is not closed"),
    "no colon": ("name: a\nvpcs\nx: y\n", 2, 'a key is followed by ": "'),
    "two colons": ("name: a: b\n", 1, "quote text with a colon"),
    "indented too far": ("name: a\n  x: b\n", 2, "is the line indented like others?"),
    "not far enough": ("a:\n    b: 1\n  c: 2\n", 3, "is the line indented like its neighbours?"),
    "no such anchor": ("name: a\nx: *b\n", 2, "undefined alias 'b'"),
    "two documents": ("name: a\n---\nname: b\n", 2, "one topology"),
    "an escape": ('name: a\nx: "\\q"\n', 2, "unknown escape character 'q'"),
    "a huge escape": ('name: "\\UFFFFFFFF"\n', 0, "too large"),
    "a control character": ("name: a\nx: \x07\n", 2, "U+0007"),
    "nothing": ("", 1, "the file is empty"),
    "only a comment": ("# testbed: v1\n", 1, "the file is empty"),
    "a list": ("\n- testbed: v1\n", 2, "a topology is a map"),
    "a word": ("testbed\n", 1, "a topology is a map"),
    "a map open to the end": ("name: a\nx: {b: [c\n", 2, "a bracket is not closed"),
    "nesting without end": ("[" * 5000, 0, "nested too deeply"),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_what_is_not_yaml_is_told_with_its_line(case: str) -> None:
    """PyYAML's words alone help only people who know YAML's grammar."""
    text, line, words = SYNTAX[case]

    error = error_of(text)

    assert (error.where.file, error.where.line) == ("my.yaml", line)
    assert words in error.message


KEYS = {
    "a name twice": ("a: {b: 1}\nc:\n  d: 1\n  d: 2\n", (4, "c.d"), '"d" is on line 3 already'),
    "a name that is a number": (
        "a:\n  123: x\n",
        (2, "a"),
        'YAML reads the name 123 as a number; write it in quotes: "123"',
    ),
    "a name that is a boolean": ("true: x", (1, ""), 'as a boolean; write it in quotes: "true"'),
    "a name that is nothing": ("a:\n  ~: x", (2, "a"), 'as nothing; write it in quotes: "~"'),
    "a name that is a list": ("[a]: x", (1, ""), "a key is a name"),
    "a tag": (
        "a: !!python/object/apply:os.abort []",
        (1, "a"),
        'the tag "!!python/object/apply:os.abort" does not fit here',
    ),
    "a tag of one's own": ("a: !secret x", (1, "a"), 'the tag "!secret"'),
    "a tag that lies": ("a: !!int x", (1, "a"), 'the tag "!!int"'),
    "an alias inside itself": ("a: &a\n  - [*a]", (1, "a[0][0]"), "inside its own anchor"),
}


@pytest.mark.parametrize("case", KEYS)
def test_what_is_yaml_but_no_topology_is_told_with_its_key(case: str) -> None:
    """Nothing is constructed, nothing overwritten, no name silently becomes a number."""
    text, place, words = KEYS[case]

    error = error_of(text)

    assert (error.where.line, error.where.key) == place
    assert words in error.message
