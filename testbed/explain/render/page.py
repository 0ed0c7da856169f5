"""An answer as a page that stands alone: the drawing, and under it all that text tells."""

from html import escape

from testbed.explain.answer import Answer
from testbed.explain.render import wording
from testbed.explain.render.drawing import svg
from testbed.explain.render.styled import marked_up
from testbed.explain.render.text import lines

COLUMNS = 100  # of the text

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1d2433; --soft: #667085;
  --there: #1f5fd0; --good: #15803d; --bad: #c4281f; --warn: #b54708; --edge: #e3e8ef }
@media (prefers-color-scheme: dark) { :root { --paper: #12161d; --ink: #e6eaf2; --soft: #98a2b3;
  --there: #7fb0ff; --good: #5fd38a; --bad: #ff8078; --warn: #f7b267; --edge: #2a3240 } }
body { margin: 0 auto; padding: 1rem; max-width: 110rem; background: var(--paper);
  color: var(--ink); font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif }
figure { margin: 0; overflow-x: auto } figure svg { width: 100%; height: auto; min-width: 46rem }
pre { margin: 1.5rem auto 0; max-width: 104ch; padding: 1.2rem 1.4rem; overflow-x: auto;
  border-top: 1px solid var(--edge); line-height: 1.35; font-size: 14px;
  font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
pre span { font-style: normal; font-weight: 400 }
pre .name { font-weight: 700 } pre .quiet { color: var(--soft) }
pre .strong { color: var(--there) } pre .good { color: var(--good); font-weight: 700 }
pre .bad { color: var(--bad); font-weight: 700 } pre .warn { color: var(--warn); font-weight: 700 }
"""


def html(answer: Answer, *, full: bool = False) -> str:
    """The page; it needs nothing else.  full: as of `render_text.text`."""
    title = f"{answer.source} → {answer.destination}: {wording.ending(answer)}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style></head>",
            f"<body><figure>{svg(answer)}</figure>",
            f"<pre>{marked_up(lines(answer, COLUMNS, full=full))}</pre>",
            "</body></html>\n",
        ]
    )
