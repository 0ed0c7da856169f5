"""The pages of the documentation: README leads to each, and no link leads nowhere."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def linked(page: Path) -> set[Path]:
    """The files of the project that a page links to."""
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return {(page.parent / target).resolve() for target in targets}


def test_every_page_is_reached_from_readme_and_every_link_leads_somewhere() -> None:
    seen: set[Path] = set()
    todo = {ROOT / "README.md"}
    while todo:
        seen |= todo
        pages = [page for page in todo if page.suffix == ".md"]
        todo = {target for page in pages for target in linked(page)} - seen
        assert not [target for target in todo if not target.exists()]

    assert {*ROOT.glob("docs/*.md"), ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"} <= seen


def test_the_map_has_every_page() -> None:
    """A page that is only a link of another page's is not found by who does not know of it."""
    pages = {*ROOT.glob("docs/*.md")}

    assert pages <= linked(ROOT / "docs/README.md") | {ROOT / "docs/README.md"}


def test_the_map_of_the_code_has_every_package() -> None:
    """docs/design.md, "Where things are": who looks for the room of a line starts there."""
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    drawn = page.split("## Where things are")[1].split("```")[1]
    outer, shown = "", set[str]()
    for line in filter(None, drawn.splitlines()):
        names = re.split(r"   +", line.strip())
        if not line.startswith(" "):
            outer = names[0].split()[0]
            shown |= {*names[0].split()}
        within = outer if not line.startswith(" ") else f"{outer}.{names[0]}"
        here = [one for one in names[1:2] if re.fullmatch(r"[a-z_]+(  [a-z_]+)*", one)]
        shown |= {f"{within}.{one}" for some in here for one in some.split()}

    code = ROOT / "testbed"
    packages = {".".join(one.parent.relative_to(code).parts) for one in code.rglob("__init__.py")}
    assert shown == packages - {""}
