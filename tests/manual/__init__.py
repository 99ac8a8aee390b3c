"""The generated parts of README.md and docs/: `make manual` writes them anew

A page has `<!-- made by make manual: NAME -->` and `<!-- end -->` around what the section NAME makes.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
PART = re.compile(r"(<!-- made by make manual: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.S)


def pages() -> list[Path]:
    """All that may have generated parts"""
    return [HERE / "README.md", *sorted((HERE / "docs").glob("*.md"))]


def current(text: str) -> str:
    """`text` with every generated part as the code has it"""
    from tests.manual.sections import SECTIONS

    return PART.sub(lambda part: f"{part[1]}\n{SECTIONS[part['name']]().strip()}\n\n{part[3]}", text)
