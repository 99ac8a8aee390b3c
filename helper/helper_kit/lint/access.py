"""Where a Python task goes past the path API to files, or past `context.run` to programs"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from helper_agent.declaration import Task
from helper_kit.lint.finding import Finding, Source

FILES = frozenset(("pathlib", "shutil", "tempfile", "glob", "fileinput", "io"))
"""Modules that open files by path."""
HARMLESS = frozenset(("PurePath", "PurePosixPath", "StringIO", "BytesIO", "TextIOWrapper", "get_terminal_size"))
"""Names in them that don't."""
OS_FILES = frozenset(
    (
        *("access", "chdir", "chmod", "chown", "chroot", "lchown", "link", "listdir", "lstat", "makedirs", "mkdir"),
        *("mkfifo", "mknod", "open", "readlink", "remove", "removedirs", "rename", "renames", "replace", "rmdir"),
        *("scandir", "stat", "statvfs", "symlink", "truncate", "unlink", "utime", "walk", "fwalk", "setxattr"),
        *("getxattr", "listxattr", "removexattr"),
    )
)
OS_PATH_FILES = frozenset(
    (
        *("exists", "lexists", "isfile", "isdir", "islink", "ismount", "getsize", "getmtime", "getatime", "getctime"),
        *("realpath", "samefile"),
    )
)
OS_PROGRAMS = ("system", "popen", "exec", "spawn", "posix_spawn", "fork", "forkpty")
"""Functions of os that run programs, by how they begin."""
ROOT_REMEDY = "use context.root, which can't be led out of the image (or declare the privilege tree-path)"
PRINT_REMEDY = "use context.log.info: what a Python task prints is not in the node's log"
RUN_REMEDY = "use context.run, which has a time limit and says what failed"


def check(source: Source, task: Task) -> Iterator[Finding]:
    """Findings; files are the path API's business where the image is mounted and the task may not have its path"""
    files = task.phase == "filesystems" and "tree-path" not in task.privileges
    for node in ast.walk(source.tree):
        if program := _program(node):
            yield source.error(node, f"runs a program by {program}", RUN_REMEDY)
        elif files and (what := _file(node)):
            yield source.error(node, f"{what} works on the helper's own files, not on the image's", ROOT_REMEDY)
        elif _calls(node, "print"):
            yield source.warning(node, "uses print()", PRINT_REMEDY)


def _program(node: ast.AST) -> str:
    if _imports(node, frozenset(("subprocess", "pty"))):
        return "subprocess"
    name = _dotted(node)
    return name if name.startswith("os.") and name[3:].startswith(OS_PROGRAMS) else ""


def _file(node: ast.AST) -> str:
    if _calls(node, "open"):
        return "open()"
    if module := _imports(node, FILES - {"io"}):
        return module
    name = _dotted(node)
    harmful = {f"os.{each}" for each in OS_FILES} | {f"os.path.{each}" for each in OS_PATH_FILES} | {"io.open"}
    if name in harmful:
        return name
    if isinstance(node, ast.ImportFrom) and node.module in ("os", "os.path", "io"):
        names = (f"{node.module}.{alias.name}" for alias in node.names)
        return next((each for each in names if each in harmful), "")
    return ""


def _calls(node: ast.AST, name: str) -> bool:
    """Whether the node calls the built-in function `name`"""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _imports(node: ast.AST, modules: frozenset[str]) -> str:
    """The module of `modules` that an import statement takes more than harmless names from"""
    if isinstance(node, ast.Import):
        return next((alias.name for alias in node.names if alias.name in modules), "")
    if isinstance(node, ast.ImportFrom) and node.module in modules:
        return "" if all(alias.name in HARMLESS for alias in node.names) else str(node.module)
    return ""


def _dotted(node: ast.AST) -> str:
    """`os.path.exists` of an expression that is just that, else "" """
    if isinstance(node, ast.Attribute):
        before = node.value.id if isinstance(node.value, ast.Name) else _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""
