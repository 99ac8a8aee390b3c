"""What a class offers, read from its source: fields with the text below them, properties, methods"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

SECTIONS = ("Args:", "Raises:", "Returns:", "Yields:")


class Member(NamedTuple):
    """One field, property or method"""

    name: str
    arguments: str
    """As in a call: "(path, *, limit=1048576)"; "" of what is no method."""
    type: str
    default: str
    text: str
    """Its docstring."""


def members(module: ModuleType, name: str) -> Iterator[Member]:
    """Of the class `name`, in the order of its source, private ones left out"""
    tree = ast.parse(inspect.getsource(module))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name).body
    for node, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = ast.unparse(node.value) if node.value else ""
            found = Member(node.target.id, "", ast.unparse(node.annotation), default, _string(below))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            found = Member(name, "", "", _default(name, node.value), _string(below))
        elif isinstance(node, ast.FunctionDef):
            returns = ast.unparse(node.returns) if node.returns else ""
            is_property = any(ast.unparse(each) == "property" for each in node.decorator_list)
            arguments = "" if is_property else f"({_arguments(node.args)})"
            found = Member(node.name, arguments, returns, "", ast.get_docstring(node) or "")
        else:
            continue
        if not found.name.startswith("_"):
            yield found


def markdown(text: str) -> str:
    """A docstring's paragraphs; the entries of its sections as lists"""
    lines: list[str] = []
    section = False
    for line in text.splitlines():
        title, _, rest = line.partition(" ")
        if title in SECTIONS:
            section = True
            lines += ["", f"{title} {rest}".strip(), ""]
        elif section and re.match(r"    \S", line):
            lines.append(f"- {line.strip()}")
        elif section and line.startswith("     "):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line.strip())
    # an empty line is needed between a heading of a section and its list, and not more than one anywhere
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _string(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return ""


def _arguments(arguments: ast.arguments) -> str:
    """Without types and self"""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    parts = [_argument(each, default) for each, default in zip(plain, defaults, strict=True) if each.arg != "self"]
    if arguments.kwonlyargs:
        parts += ["*"]
        parts += [
            _argument(each, default) for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ]
    return ", ".join(parts)


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return argument.arg if default is None else f"{argument.arg}={_default(argument.arg, default)}"


def _default(name: str, node: ast.expr) -> str:
    """Permission bits are octal for people"""
    is_int = isinstance(node, ast.Constant) and type(node.value) is int
    return oct(ast.literal_eval(node)) if is_int and name.endswith("mode") else ast.unparse(node)
