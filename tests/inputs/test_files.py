"""Files that are no topologies: one message with file and line, soon and in little memory."""

import os
import re
import resource
from pathlib import Path

import pytest

from testbed.errors import DescriptionError
from testbed.kernel.machine.scratch import in_child
from testbed.load import load

EKS = (Path(__file__).parents[2] / "topologies" / "eks.yaml").read_text()
HEAD = "testbed: v1\nname: x\n"
MEMORY = 1 << 30  # bytes
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)

YAML: dict[str, tuple[str | bytes, str]] = {  # what is in the file; its line and the message
    "nothing": ("", ":1: the file is empty"),
    "null": ("~", ":1: the file is empty"),
    "a word": ("hello", ":1: a topology is a map"),
    "a list": ("- testbed: v1\n", ":1: a topology is a map"),
    "zeros": (bytes(3), r":1: YAML allows no character U\+0000"),
    "every byte": (bytes(range(1, 256)), ":2: byte 0x80 is not UTF-8"),
    "UTF-16": (EKS.encode("utf-16"), ":1: byte 0xff is not UTF-8"),
    "tabs": (EKS.replace("  ", "\t"), r":\d+: not YAML: .*indent with spaces"),
    "a quote left open": (f'{HEAD}vpcs: "', ":3: not YAML: .*a quote is not closed"),
    "a bracket left open": (f"{HEAD}vpcs: [", ":3: not YAML: .*a bracket is not closed"),
    "two topologies": (f"{EKS}---\n{EKS}", r":\d+: not YAML: .*one topology"),
    "a key twice": (f"{HEAD}name: y\n", r':3: name: the key "name" is on line 2 already'),
    "a map as key": ("testbed: v1\n? {a: b}\n: c\n", ":2: a key is a name"),
    "Python's tags": ("testbed: v1\nname: !!python/object/apply:os.system ['id']\n", ":2: name: "),
    "a merge": (f"{HEAD}b: &b {{}}\nvpcs: {{<<: *b}}\n", ":3: b: unknown key"),
    "an alias in its anchor": ("&a {testbed: v1, name: *a}", ":1: name: an alias stands inside"),
    "an alias of nothing": (f"{HEAD}vpcs: *gone\n", ":3: not YAML: "),
    "a billion laughs": (f"testbed: v1\n{LAUGHS}", ":2: a: unknown key"),
    "deep brackets": (f"{HEAD}vpcs: {'[' * 1000}", ": nested too deeply|:3: "),
    "deep maps": (f"{HEAD}vpcs: {'{a: ' * 1000}1{'}' * 1000}", ": nested too deeply"),
    "a very long name": (f"{HEAD}vpcs: {'x' * 100_000}\n", ":3: vpcs: expected a map"),
    "a very long number": (f"testbed: v1\nname: {'9' * 10_000}\n", ":1: vpcs: "),
    "no end of a number": (f"{HEAD}vpcs: .inf\n", ":3: vpcs: expected a map"),
    "half a character": ('testbed: v1\nname: "\\ud800"\n', ":2: name: half a character stands"),
    "half a key": ('testbed: v1\nvpcs:\n  "\\udc00": 1\n', ":3: vpcs: half a character"),
    "a character in halves": (f'{HEAD}"\\ud83d\\ude00": 1\n', r':3: \["😀"\]: unknown key'),
    "letters turned round": (f'{HEAD}"\\u202eabc": 1\n', r':3: \["\\u202eabc"\]: unknown key'),
    "a terminal's escape": (f'{HEAD}"\\e[31m": 1\n', r':3: \["\\u001b\[31m"\]: unknown key'),
    "a line in a name": (f'{HEAD}"a\\nb": 1\n', r':3: \["a\\nb"\]: unknown key'),
}
UNTOLD = """class E(Exception):
    def __str__(self):
        raise KeyError
raise E
"""
UNCLEAR = """class L:
    @property
    def __class__(self):
        raise KeyError("__class__")
lab = L()
"""
PYTHON: dict[str, tuple[str | bytes, str]] = {
    "no Python": ("lab = (\n", r":1: not Python: '\(' was never closed"),
    "no text": (b"\xff\xfe", ":1: not Python: "),
    "zeros": (b"x = 1\0\n", ": .*null bytes"),
    "no lab": ("x = 1\n", ": the script defines no `lab`"),
    "a number": ("lab = 5\n", ": `lab` is the number 5"),
    "a lab of nothing": ("from testbed.lab import Lab\nlab = Lab(5)\n", ":2: Lab.name: "),
    "an error of two lines": ("raise ValueError('x\\ny')\n", ":1: ValueError: x y"),
    "an error that is none": ("class E(BaseException): pass\n\nraise E('x')\n", ":3: E: x"),
    "a generator's end": ("\nraise GeneratorExit\n", ":2: GeneratorExit"),
    "an exit": ("import sys\nsys.exit(3)\n", ":2: the script exits"),
    "a module that is not there": ("import nothing_like_it\n", ":1: ModuleNotFoundError: "),
    "no end": ("def f(): f()\nf()\n", ":1: RecursionError: "),
    "no memory": ("x = [0] * (1 << 60)\n", ":1: MemoryError"),
    "an error that cannot be told": (UNTOLD, r":4: E: \(its text cannot be had: KeyError\)"),
    "an error without end": ("raise ValueError('x' * 10**6)\n", ":1: ValueError: x{380,400}…$"),
    "an error in colours": ("raise ValueError('\\x1b[31m\\udc80')", r":1: ValueError: .*31m"),
    "a lab that does not say what it is": (UNCLEAR, ":4: KeyError: '__class__'"),
    "a full disk": ("raise OSError(28, 'No space')\n", r":1: OSError: \[Errno 28\]"),
}
LINKS = {
    "to itself": ("bad.yaml", ": cannot be read: Too many levels"),
    "to nothing": ("nowhere", ": no such file$"),
    "to a folder": (".", ": cannot be read: Is a directory"),
    "to a device without end": ("/dev/zero", ": is no regular file"),
    "to an empty device": ("/dev/null", ": is no regular file"),
    "to a terminal": ("/dev/ptmx", ": is no regular file"),
    "to memory": ("/proc/self/mem", ": cannot be read: "),
}


def refused(file: Path) -> str:
    """The one line that is said of a file, behind its name."""

    def work() -> str:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        with pytest.raises(DescriptionError) as caught:
            load(file)
        return str(caught.value)

    said = in_child(work, timeout_s=30)
    assert said.startswith(str(file))
    assert "\n" not in said
    assert said.isprintable()
    return said.removeprefix(str(file))


def written(file: Path, content: str | bytes) -> Path:
    """The file, with that in it."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize("name", YAML)
def test_a_file_that_is_no_topology(tmp_path: Path, name: str) -> None:
    content, expected = YAML[name]

    assert re.match(expected, refused(written(tmp_path / "bad.yaml", content)))


@pytest.mark.parametrize("name", PYTHON)
def test_a_script_that_makes_no_lab(tmp_path: Path, name: str) -> None:
    """Whatever it raises is its own mistake, at its own line."""
    content, expected = PYTHON[name]

    assert re.match(expected, refused(written(tmp_path / "bad.py", content)))


@pytest.mark.parametrize("name", LINKS)
def test_a_link_that_leads_to_no_topology(tmp_path: Path, name: str) -> None:
    target, expected = LINKS[name]
    file = tmp_path / "bad.yaml"
    file.symlink_to(target)

    assert re.match(expected, refused(file))


def test_a_pipe_that_nobody_writes_is_not_waited_for(tmp_path: Path) -> None:
    """`mkfifo lab.yaml; testbed up lab.yaml` would hang for good."""
    pipe = tmp_path / "bad.yaml"
    os.mkfifo(pipe)

    assert refused(pipe).startswith(": is no regular file")


def test_a_file_without_end_is_given_up(tmp_path: Path) -> None:
    """A hole of a terabyte takes no disk."""
    file = written(tmp_path / "bad.yaml", "")
    os.truncate(file, 1 << 40)

    assert refused(file) == ": has more than 64 MiB"


def test_a_shells_process_substitution_is_read_to_its_end() -> None:
    """`testbed up <(helm template …)`: a pipe too, but one that this process was given."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(EKS)
    try:
        assert load(Path(f"/dev/fd/{reading}")).name == "eks"
    finally:
        os.close(reading)


@pytest.mark.parametrize("content", [EKS.replace("\n", "\r\n"), EKS.replace("\n", "\r")])
def test_lines_may_end_as_on_other_systems(tmp_path: Path, content: str) -> None:
    """And an editor's byte order mark may stand in front."""
    file = written(tmp_path / "good.yaml", b"\xef\xbb\xbf" + content.encode())

    assert load(file) == load(written(tmp_path / "plain.yaml", EKS))
