"""Error codes and the last line"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from helper_agent.protocol import FAILURES
from helper_host.errors import CODES, ProviderError

PACKAGE = Path(__file__).parents[2] / "host" / "helper_host"


def test_the_last_line_has_code_cause_and_remedy() -> None:
    error = ProviderError("E-NODE", "There is no room", "make some")
    assert str(error) == "E-NODE: There is no room; make some"
    assert (error.code, error.cause, error.remedy) == ("E-NODE", "There is no room", "make some")


def codes_used() -> Iterator[tuple[str, str]]:
    """Every literal E-code in the node side's source"""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch("E-[A-Z-]+", node.value):
                yield path.name, node.value


def test_every_code_is_in_a_table() -> None:
    used = set(codes_used())
    assert len(used) > 20
    assert {code for _, code in used} <= CODES.keys() | FAILURES.keys()


def test_no_code_is_in_both_tables() -> None:
    assert not CODES.keys() & FAILURES.keys()
