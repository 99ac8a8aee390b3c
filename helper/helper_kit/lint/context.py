"""What a Python task asks of its context, against what it declares: privileges and options

Reading is by names: `context` is run's argument and every argument annotated `Context`; what is assigned from
`context.root` or `context.options` is followed by its name. What can't be followed is given the benefit of the doubt.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from helper_agent.declaration import KIND_WORDS, Task
from helper_kit.lint import library
from helper_kit.lint.finding import Finding, Source

READERS = {"text": "str", "number": "int", "flag": "bool", "items": "list"}
"""Methods of `context.options`, and the kind of option that each reads."""


class Read(NamedTuple):
    """An option that is read"""

    name: str
    method: str
    node: ast.AST


def check(source: Source, task: Task) -> Iterator[Finding]:
    """Privileges used without being declared or the reverse, options the same"""
    uses = Uses(source.tree)
    declared = _declaration(source.tree)
    for privilege, what, nodes in (
        ("tree-path", "context.root.path", uses.tree_path),
        ("image-programs", "context.run_in_image", uses.image_programs),
    ):
        if privilege in task.privileges and not nodes:
            yield source.warning(declared, f"declares the privilege {privilege} and never uses {what}", "drop it")
        if privilege not in task.privileges and nodes:
            remedy = f'declare privileges=("{privilege}",), or do without'
            yield source.error(nodes[0], f"uses {what} without the privilege {privilege}", remedy)
    for name, node in uses.programs:
        if not library.has_program(name):
            yield source.error(
                node,
                f"runs {name}, which the helper image doesn't have",
                'for a program of the image: context.run_in_image, with privileges=("image-programs",)',
            )
    kinds = {option.name: option.kind for option in task.options}
    for read in uses.options:
        if read.name not in kinds:
            yield source.error(
                read.node,
                f"reads the option {read.name!r}, which it doesn't declare",
                f'add Option("{read.name}", ...) to the options, or read one of: {", ".join(kinds) or "none"}',
            )
        elif kinds[read.name] != READERS[read.method]:
            right = next(method for method, kind in READERS.items() if kind == kinds[read.name])
            words = KIND_WORDS[kinds[read.name]]
            yield source.error(
                read.node,
                f"reads the option {read.name} by {read.method}(), and it is declared as {words}",
                f'use options.{right}("{read.name}")',
            )
    if not uses.options_escape:
        for name in kinds.keys() - {read.name for read in uses.options}:
            yield source.warning(declared, f"declares the option {name}, which it never reads", "read it, or drop it")


def _declaration(tree: ast.Module) -> ast.AST:
    """The statement TASK = Task(...)"""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "TASK" for target in targets):
            return node
    return tree


class Uses:
    """What the code below `tree` asks of the context"""

    def __init__(self, tree: ast.Module) -> None:
        self._names: dict[str, set[str]] = {"context": {"context"}, "root": set(), "options": set()}
        self.tree_path: list[ast.AST] = []
        self.image_programs: list[ast.AST] = []
        self.programs: list[tuple[str, ast.AST]] = []
        """Programs of the helper that `context.run` is given by name."""
        self.options: list[Read] = []
        self.options_escape = False
        """The options are used in a way that can't be followed, so which are read isn't known."""
        self._take_names(tree)
        parents = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(tree):
            self._take_use(node, parents)

    def _take_names(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._take_arguments(node)
        for node in ast.walk(tree):
            for target, value in _assigned(node):
                if isinstance(target, ast.Name) and isinstance(value, ast.Attribute) and self._is(value):
                    self._names[value.attr].add(target.id)

    def _take_arguments(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if node.name == "run" and arguments:
            self._names["context"].add(arguments[0].arg)
        for argument in arguments:
            annotation = ast.unparse(argument.annotation).rpartition(".")[2].strip("\"'") if argument.annotation else ""
            if annotation in ("Context", "Root", "Options"):
                self._names[annotation.lower()].add(argument.arg)

    def _is(self, node: ast.AST, what: str = "") -> bool:
        """Whether `node` is the context's root or options (`what`, "" for either)"""
        if isinstance(node, ast.Attribute) and node.attr in ((what,) if what else ("root", "options")):
            return isinstance(node.value, ast.Name) and node.value.id in self._names["context"]
        return bool(what) and isinstance(node, ast.Name) and node.id in self._names[what]

    def _take_use(self, node: ast.AST, parents: dict[int, ast.AST]) -> None:
        if isinstance(node, ast.Attribute) and node.attr == "path" and self._is(node.value, "root"):
            self.tree_path.append(node)
        if isinstance(node, ast.Attribute) and node.attr == "run_in_image":
            self.image_programs.append(node)
        if isinstance(node, ast.Call) and (name := self._program(node)):
            self.programs.append((name, node))
        if isinstance(node, (ast.Attribute, ast.Name)) and self._is(node, "options"):
            self._take_options(node, parents)

    def _program(self, call: ast.Call) -> str:
        """The literal NAME of `context.run([NAME, ...])`, else "" """
        run, first = call.func, call.args[0] if call.args else None
        if not isinstance(run, ast.Attribute) or run.attr != "run" or not isinstance(first, (ast.List, ast.Tuple)):
            return ""
        name = first.elts[0] if first.elts else None
        ours = isinstance(run.value, ast.Name) and run.value.id in self._names["context"]
        return name.value if ours and isinstance(name, ast.Constant) and isinstance(name.value, str) else ""

    def _take_options(self, node: ast.AST, parents: dict[int, ast.AST]) -> None:
        method = parents.get(id(node))
        call = parents.get(id(method))
        if isinstance(method, ast.Attribute) and isinstance(call, ast.Call) and call.func is method:
            first = call.args[0] if call.args else None
            if method.attr in READERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                self.options.append(Read(first.value, method.attr, call))
                return
        # being given a name that is followed is no escape
        if isinstance(getattr(node, "ctx", None), ast.Store) or isinstance(method, (ast.Assign, ast.AnnAssign)):
            return
        if isinstance(method, ast.Tuple) and isinstance(parents.get(id(method)), ast.Assign):
            return
        self.options_escape = True


def _assigned(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Targets and values of an assignment, `a, b = c, d` taken apart"""
    if isinstance(node, ast.AnnAssign) and node.value:
        yield node.target, node.value
    if not isinstance(node, ast.Assign):
        return
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value
