"""`NamedTuple` as in `typing`, without its cost

For a type checker it is `typing.NamedTuple`. That one compiles every annotation when a class is made, a tenth of a
second for the agent's classes in an emulated guest; here the same classes are made by `collections.namedtuple`, and
annotations stay what they are in the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["NamedTuple"]

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from collections import namedtuple

    class _Maker(type):
        """Turns the body of a class statement into a named tuple, as `typing.NamedTupleMeta` does"""

        def __new__(cls, name, _bases, body):
            fields = body.get("__annotations__", {})
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body.pop("__module__"))
            for key, value in body.items():
                setattr(made, key, value)
            return made

    # made past `_Maker`, whose turn comes with every class that names it as its base
    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
