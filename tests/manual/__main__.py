"""`make manual`"""

from __future__ import annotations

from tests import manual

for page in manual.pages():
    page.write_text(manual.current(page.read_text(encoding="utf-8")), encoding="utf-8")
