"""Mends the theme's pages where a browser complains. An extension of Sphinx."""

import re
from pathlib import Path
from typing import Any

# What the theme writes, what takes its place, and why.
MENDS = [
    # live code by somebody else's server; the book has none, and it is declared twice
    (r"<script>const THEBE_JS_URL = .*?</script>\n?", ""),
    (r'<script async="async" src="[^"]*sphinx-thebe\.js[^"]*"></script>\n?', ""),
    # 1.5 MB of icons for users' own buttons; the theme's own are in its style sheet
    (r'<script defer src="[^"]*scripts/fontawesome\.js[^"]*"></script>\n?', ""),
    # no mode is no mode, says its own script
    (
        r'localStorage\.getItem\("mode"\) \|\| ""',
        'localStorage.getItem("mode") || "auto"',
    ),
    # a button without a name
    (r"<summary><span", '<summary aria-label="Pages below"><span'),
    # an entry of a list, said so that screen readers know it
    (r'role="doc-biblioentry"', 'role="listitem"'),
    # pandas' empty corner of a table heads nothing
    (r"<th></th>", "<td></td>"),
]


def mend(text: str) -> str:
    """A page of the theme, mended; mending twice changes nothing more."""
    for pattern, better in MENDS:
        text = re.sub(pattern, better, text, flags=re.DOTALL)
    return text


def finish(app: Any, failure: Exception | None) -> None:
    """Mend every page once all are written."""
    if failure is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            page.write_text(mend(page.read_text("utf-8")), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
