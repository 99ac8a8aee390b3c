"""What a Python task imports"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from helper_kit.lint import library
from helper_kit.lint.finding import Finding, Source

API = "helper_agent.api"
OURS = ("helper_agent", "helper_kit", "helper_host")
REMEDY = f"import {API}, Python's standard library, or {' or '.join(library.THIRD_PARTY)}"


def check(source: Source) -> Iterator[Finding]:
    """Imports that fail in the helper, or that no later version promises to have; those for types only are free"""
    for node in _statements(source.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield source.error(node, "imports by a relative name; a task is one file", REMEDY)
            continue
        for module in _modules(node):
            if problem := _problem(module):
                yield source.error(node, f"imports {module}: {problem}", REMEDY)


def _statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _statements(ast.Module([other], []))
        else:
            yield from _statements(node)


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    module = node.module or ""
    # `from helper_agent import api` names a module by its last part
    return [f"{module}.{alias.name}" for alias in node.names] if module in OURS else [module]


def _problem(module: str) -> str:
    if module.partition(".")[0] in OURS:
        return "" if module == API else "no part of the task API, it changes without notice"
    return library.problem(module)
