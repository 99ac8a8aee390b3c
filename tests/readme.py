"""The generated parts of README.md: `python -m tests.readme` writes them anew"""

from __future__ import annotations

from pathlib import Path

from helper_host.ganeti import parameters

README = Path(__file__).resolve().parent.parent / "README.md"
START, END = "<!-- parameters: made by `make readme`; a test holds it current -->\n", "<!-- end -->"


def current(text: str) -> str:
    """`text` with the table of OS parameters as the code has it"""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{parameters.table().strip()}\n\n{END}{after}"


if __name__ == "__main__":
    README.write_text(current(README.read_text(encoding="utf-8")), encoding="utf-8")
