"""One remark on a task's file"""

from __future__ import annotations

import ast
from typing import NamedTuple

ERROR, WARNING = "error", "warning"


class Finding(NamedTuple):
    """What is wrong where, and what to do about it"""

    path: str
    line: int
    level: str
    """error: it would fail; warning: it may be meant so."""
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.level}: {self.text}; {self.remedy}"


class Source(NamedTuple):
    """A Python file that was parsed"""

    path: str
    tree: ast.Module

    def error(self, node: ast.AST, text: str, remedy: str) -> Finding:
        """An error at `node`"""
        return Finding(self.path, getattr(node, "lineno", 1), ERROR, text, remedy)

    def warning(self, node: ast.AST, text: str, remedy: str) -> Finding:
        """A warning at `node`"""
        return Finding(self.path, getattr(node, "lineno", 1), WARNING, text, remedy)
