"""AWS's codes: each one that a topology can be refused with has its row in docs/vpc.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"[A-Z][a-z]+[A-Za-z]*(\.[A-Z][A-Za-z]+)?|failed")
CALLS = ("AwsError", "Problem")


def codes(source: Path) -> Iterator[str]:
    """What stands where a code does: in calls, in variables named so, in tables of tuples."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if name in CALLS:
                yield from _texts(args)
            case ast.Assign(targets=[ast.Name(id="code")], value=value):
                yield from _texts([value])
            case ast.Assign(targets=[ast.Name(id="NOT_FOUND")], value=ast.Dict(values=values)):
                yield from _texts(values)
            case ast.Tuple(elts=elements) if "quotas" in source.name:
                yield from _texts(elements)


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        text = node.value if isinstance(node, ast.Constant) else ""
        if isinstance(text, str) and CODE.fullmatch(text):
            yield text


def test_every_code_has_its_row_and_every_row_its_code() -> None:
    sources = [*(ROOT / "testbed/vpc").rglob("*.py"), *(ROOT / "testbed/networks").rglob("*.py")]
    used = {code for source in sources for code in codes(source)}
    page = (ROOT / "docs/vpc.md").read_text(encoding="utf-8")
    table = page.partition("## What is refused")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    told = {code for row in rows for code in re.findall(r"`([\w.]+)`", row)}

    assert used == told
