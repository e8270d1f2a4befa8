"""The Python examples in the READMEs and guides run as they stand, block after block."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("packages/*/README.md")),
    *(page for page in sorted(ROOT.glob("docs/*.md")) if page.stem != "contributing"),
]
FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def with_examples() -> list[Path]:
    """The pages that hold an example; a page with a notebook's heading runs in the docs' build."""
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    return [
        page for page, text in texts.items() if FENCED.search(text) and "{code-cell}" not in text
    ]


@pytest.mark.parametrize("page", with_examples(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_examples_of_a_page_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shared: dict[str, Any] = {}
    for block in FENCED.finditer(text):
        # Blank lines in front make a traceback show the line of the page.
        above = "\n" * (text[: block.start()].count("\n") + 1)
        exec(compile(above + block.group(1), str(page), "exec"), shared)
