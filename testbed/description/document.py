"""YAML texts as plain data that remembers the line of every key.

Scalars are read by YAML 1.2's core rules, as editors read them: text, whole numbers, true, false
and null.  So `no`, `on`, 10:20 and 2019-12-01 are text; YAML 1.1 makes something else of each.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from testbed.description.problem import Path, found, quoted, spelt
from testbed.errors import DescriptionError, Where

TAG = "tag:yaml.org,2002:"
SCALARS = {
    "null": re.compile(r"(?:null|Null|NULL|~|)\Z"),
    "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    "int": re.compile(r"(?:[-+]?(?:0|[1-9][0-9]{0,17})|0x[0-9a-fA-F]{1,15})\Z"),
    "str": re.compile(r""),
}
READ_AS = {"null": "nothing", "bool": "a boolean", "int": "a number"}
NAMING_KEYS = ("name", "title", "id", "cidr")  # of things that are written as a list

HINTS = {  # what PyYAML says, and what to look for
    "cannot start any token": "indent with spaces; quote text that begins with @, ` or %",
    "mapping values are not allowed": "quote text with a colon; is the line indented like others?",
    "expected <block end>": "is the line indented like its neighbours?",
    "could not find expected ':'": 'a key is followed by ": "',
    "unexpected end of stream": "a quote is not closed",
    "<stream end>": "a bracket is not closed",
    "expected ',' or": "a bracket is not closed, or a comma is missing",
    "expected a single document": "a file holds one topology",
}


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars above; its constructors are not used."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        forms = [(TAG + name, form) for name, form in SCALARS.items()]
        self.yaml_implicit_resolvers = {None: forms}


@dataclass(frozen=True)
class Document:
    """A topology's text: its plain data, and the nodes that know its lines."""

    file: str
    data: dict[str, Any]
    root: Node

    def line(self, path: Path) -> int:
        """The line of the path's last step, or of the last step that is written at all."""
        line, node = self.root.start_mark.line, self.root
        for step in path:
            inside = _step(node, step)
            if inside is None:
                break
            line, node = inside
        return line + 1


def read(text: str, file: str) -> Document:
    """The document a YAML text holds.

    Raises DescriptionError with the line: not YAML, empty, tags, duplicate keys, keys that YAML
    reads as something else than text.
    """
    with _explained(text, file):
        root = yaml.compose(text, Loader=_Loader)
        data = _Reader(file).plain(root) if root else None
    if root is None or data is None:
        raise DescriptionError("the file is empty; it begins with `testbed: v1`", Where(file, 1))
    if not isinstance(data, dict):
        message = "a topology is a map that begins with `testbed: v1`"
        raise DescriptionError(message, Where(file, root.start_mark.line + 1))
    return Document(file, data, root)


def read_all(text: str, file: str) -> list[Document]:
    """The documents of a text that holds any number of them, maps all; empty ones are left out.

    Raises as `read` does.
    """
    with _explained(text, file):
        roots = _roots(text)
        read_in = [(root, _Reader(file).plain(root)) for root in roots]
    for root, data in read_in:
        if data is not None and not isinstance(data, dict):
            message = f"expected a map, found {found(data)}"
            raise DescriptionError(message, Where(file, root.start_mark.line + 1))
    return [Document(file, data, root) for root, data in read_in if data is not None]


def _roots(text: str) -> list[Node]:
    """The nodes of all documents.  Raises YAMLError with PyYAML's own messages."""
    try:
        return _quick_roots(text)
    except yaml.YAMLError:
        return list(yaml.compose_all(text, Loader=_Loader))


def _quick_roots(text: str) -> list[Node]:
    """By libyaml where PyYAML has it, several times as fast; its messages say less."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    loader.yaml_implicit_resolvers = _Loader("").yaml_implicit_resolvers
    try:
        roots: list[Any] = []
        while loader.check_node():
            roots.append(loader.get_node())
        return roots
    finally:
        loader.dispose()


@contextmanager
def _explained(text: str, file: str) -> Iterator[None]:
    """What PyYAML has against a text becomes a DescriptionError with the line."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        raise DescriptionError(_message(error), Where(file, _line(error))) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = f"U+{ord(text[error.position]):04X}"
        raise DescriptionError(f"YAML allows no character {code}", Where(file, line)) from error
    except RecursionError as error:
        raise DescriptionError("nested too deeply", Where(file)) from error
    except (ValueError, OverflowError) as error:  # "\UFFFFFFFF"
        message = "not YAML: a number in an escape or a directive is too large"
        raise DescriptionError(message, Where(file)) from error


def _message(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's words on one line, and what to look for."""
    said = ": ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for words, hint in HINTS.items() if words in said), "")
    return f"not YAML: {said}{f'; {hint}' if hint else ''}"


def _line(error: yaml.MarkedYAMLError) -> int:
    """Where to look: the place of the problem, but the start of a token that never ended."""
    unfinished = "stream" in (error.problem or "") or (error.context or "").startswith(
        ("while scanning a simple key", "while scanning a quoted")
    )
    marks = [error.problem_mark, error.context_mark]
    mark = next((one for one in (marks[::-1] if unfinished else marks) if one), None)
    return mark.line + 1 if mark else 0


class _Reader:
    """Nodes as plain data.

    It has state for one document: what an alias stands for is read once, however often it is used.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._done: dict[int, Any] = {}  # by id of the node; the nodes live as long as the tree
        self._open: set[int] = set()

    def plain(self, node: Node, path: Path = ()) -> Any:
        """Maps, lists, text, whole numbers, true, false and None."""
        if id(node) in self._open:
            raise self._error(node, path, "an alias stands inside its own anchor")
        if id(node) not in self._done:
            self._open.add(id(node))
            self._done[id(node)] = self._value(node, path)
            self._open.remove(id(node))
        return self._done[id(node)]

    def _value(self, node: Node, path: Path) -> Any:
        tag = node.tag.removeprefix(TAG)
        match node:
            case MappingNode() if tag == "map":
                return self._map(node, path)
            case SequenceNode() if tag == "seq":
                return [self.plain(item, (*path, i)) for i, item in enumerate(node.value)]
            case ScalarNode() if tag in SCALARS and SCALARS[tag].match(node.value):
                return _scalar(tag, node.value) if tag in READ_AS else self._text(node, path)
        raise self._error(node, path, f"{_tag(node)} does not fit here; leave it out")

    def _text(self, node: ScalarNode, path: Path) -> str:
        """The text; JSON may write a character beyond U+FFFF as an escape for each half of it."""
        try:
            if not node.value.isascii():
                node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
            return str(node.value)
        except UnicodeDecodeError as error:
            message = f"half a character stands alone in {quoted(node.value)}"
            raise self._error(node, path, message) from error

    def _map(self, node: MappingNode, path: Path) -> dict[str, Any]:
        lines: dict[str, int] = {}
        data: dict[str, Any] = {}
        for key, value in node.value:
            name = self._name(key, path)
            if name in data:
                already = f"the key {quoted(name)} is on line {lines[name]} already"
                raise self._error(key, (*path, name), already)
            lines[name] = key.start_mark.line + 1
            data[name] = self.plain(value, (*path, name))
        return data

    def _name(self, key: Node, path: Path) -> str:
        if not isinstance(key, ScalarNode):
            raise self._error(key, path, "a key is a name, not a list or a map")
        tag = key.tag.removeprefix(TAG)
        if tag in READ_AS:
            quotes = f"write it in quotes: {quoted(key.value)}"
            message = f"YAML reads the name {key.value} as {READ_AS[tag]}; {quotes}"
            raise self._error(key, path, message)
        return str(self.plain(key, path))

    def _error(self, node: Node, path: Path, message: str) -> DescriptionError:
        return DescriptionError(message, Where(self._file, node.start_mark.line + 1, spelt(path)))


def _tag(node: Node) -> str:
    """The tag as one writes it: `!!python/object`."""
    return f"the tag {quoted(node.tag.replace(TAG, '!!', 1))}"


def _scalar(tag: str, text: str) -> int | bool | None:
    match tag:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
    return int(text, 0)


def _step(node: Node, step: str | int) -> tuple[int, Node] | None:
    """The line and the node one step inside.

    `web-3` may be written as `web` with replicas, and `tools.web` as `web` of that namespace.
    """
    replicas = step.rpartition("-")[0] if isinstance(step, str) else step
    inside = [*_children(node)]
    for name in (step, replicas):
        exactly = [(line, value) for line, key, value in inside if _qualified(key, value) == name]
        called = [(line, value) for line, key, value in inside if key == name]
        if places := [*exactly, *called]:
            return places[0]
    return None


def _qualified(key: str | int, node: Node) -> str | int:
    """The name, behind that of the Kubernetes namespace it is of where that is not `default`."""
    pairs = node.value if isinstance(node, MappingNode) else []
    named = (value.value for key, value in pairs if key.value == "namespace")
    namespace = next(named, "default")
    return key if namespace == "default" or isinstance(key, int) else f"{namespace}.{key}"


def _children(node: Node) -> Iterator[tuple[int, str | int, Node]]:
    """What is inside: the lines, the names or indexes, and the values."""
    match node:
        case MappingNode():
            for key, value in node.value:
                yield key.start_mark.line, key.value, value
        case SequenceNode():
            for i, item in enumerate(node.value):
                steps: list[str | int] = [i, *_names(item)]
                for step in steps:
                    yield item.start_mark.line, step, item


def _names(node: Node) -> list[str]:
    """What a thing in a list calls itself."""
    pairs = node.value if isinstance(node, MappingNode) else []
    return [value.value for key, value in pairs if key.value in NAMING_KEYS]
