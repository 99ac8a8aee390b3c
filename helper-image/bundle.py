"""All modules that a run of the agent imports, in one file: made at the build, used in the helper

Python looks for each module in several folders, and opens, reads and checks a file for it. With a hundred modules that
is a good part of the time until the agent is at work under emulation. Here they are read at once. The modules' own
files stay where they are: for what the bundle doesn't have, and for the lines of tracebacks.
"""

from __future__ import annotations

import marshal
import sys
from _frozen_importlib import ModuleSpec

AT_START = frozenset(sys.modules)
TYPE_CHECKING = False  # typing's own, whose import is among what this is to make cheaper
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

FILE = "/usr/lib/helper-agent/modules"
HEADER = 16
"""Bytes before the code in a .pyc file (PEP 552)."""
VERSION = 2
"""Of marshal's format, the last one without references: those would depend on the state of the process that writes."""


NOT_NOW = ("helper_agent.__main__", "helper_agent.snf", "helper_agent.programs", "helper_agent.taskfile")
"""Modules of the agent that few runs import: they would only make the bundle longer."""
LATE = ("subprocess", "ipaddress")
"""What is not the agent's, and most runs import later than what `agent.real_layers` does."""


class Finder:
    """Finds and loads the modules of the bundle (a meta path finder and loader, PEP 451)

    Args:
        modules: name -> the package's folder or "", the file, the code as marshal has it
    """

    def __init__(self, modules: Mapping[str, tuple[str, str, bytes]]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The specification of a module that is in the bundle, None for others"""
        del path, target
        found = self._modules.get(name)
        if found is None:
            return None
        folder, origin, _ = found
        spec = ModuleSpec(name, self, origin=origin, is_package=bool(folder))
        spec.has_location = True
        if folder:
            spec.submodule_search_locations = [folder]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Nothing special"""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code"""
        # S102, S302: the file is a part of the read-only image that this module comes from
        exec(marshal.loads(self._modules[module.__name__][2]), module.__dict__)  # noqa: S102, S302


def use() -> None:
    """Let imports look into the bundle first"""
    with open(FILE, "rb") as file:
        sys.meta_path.insert(0, Finder(marshal.loads(file.read())))  # noqa: S302


def write(names: Iterable[str]) -> None:
    """Write the bundle with the modules `names`, from their .pyc files"""
    from importlib.util import find_spec

    modules = {}
    for name in sorted(names):
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None
        if spec.origin == "frozen":  # in the interpreter itself
            continue
        path = spec.origin if spec.origin.endswith(".pyc") else spec.cached
        assert path is not None
        folder = spec.submodule_search_locations[0] if spec.submodule_search_locations else ""
        with open(path, "rb") as file:
            modules[name] = (folder, spec.origin, file.read()[HEADER:])
    with open(FILE, "wb") as file:
        file.write(marshal.dumps(modules, VERSION))


def main() -> None:
    """At the build, in the image's root: find out what a run imports, and write it"""
    from importlib import import_module
    from pkgutil import walk_packages

    import helper_agent
    from helper_agent import agent, registry

    registry.write_index(registry.load(), registry.INDEX)
    agent.real_layers()
    # imported, for what each of them imports of Python's
    for found in walk_packages(helper_agent.__path__, "helper_agent."):
        if found.name not in NOT_NOW:
            import_module(found.name)
    for name in LATE:
        import_module(name)
    names = {name for name, module in sys.modules.items() if _file(module).endswith((".py", ".pyc"))}
    # what is there before the bundle can't come from it; importlib's own are for find_spec, below
    write(name for name in names - AT_START if not name.startswith(("importlib.", "pkgutil")))


def _file(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or ""


if __name__ == "__main__":
    sys.path.insert(0, "/usr/lib/helper-agent")
    main()
