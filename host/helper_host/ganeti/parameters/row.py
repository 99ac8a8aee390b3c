"""What a row of the table of OS parameters is"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, overload

SNF, SIMPLE, GRNET = "snf-image", "instance-simpleimage", "GRNET's instance-image"

T = TypeVar("T")


class Alias(NamedTuple):
    """What another OS provider calls a parameter, with that one's values"""

    provider: str
    example: str
    """A value that is valid."""
    parse: Callable[[str], Any] | None = None
    """Checks a value, and returns what the row's own parser would; None: the values are the same."""


class Parameter(Generic[T]):
    """One row; read as an attribute of `Parameters` it is the parsed value"""

    def __init__(
        self,
        parse: Callable[[str], T],
        default: T,
        text: str,
        *,
        example: str,
        shown: str = "",
        secret: bool = False,
        quoted: bool = True,
        show: Callable[[str], str] | None = None,
        lines: bool = False,
        exclusive: tuple[str, ...] = (),
        option: str = "",
        sets: tuple[str, ...] = (),
        aliases: Mapping[str, Alias] = MappingProxyType({}),
    ) -> None:
        self.parse = parse
        """Checks a value; `Invalid` or ProviderError say what is wrong with it."""
        self.default = default
        self.help = text
        """One line."""
        self.example = example
        """A value that is valid."""
        self.shown = shown
        """The default, for people."""
        self.secret = secret
        """Its value is never shown."""
        self.quoted = quoted and not secret
        """Errors may quote its value; what it parses to never shows more than it should."""
        self.show = show
        """What people may see of its value; None: all."""
        self.lines = lines
        """Its value may have newlines."""
        self.exclusive = exclusive
        """Other parameters that can't be set with it."""
        self.option = option
        """TASK.OPTION that gets its value as it is; "" where more has to be done (`options.MAKERS`)."""
        self.sets = (option, *sets) if option else sets
        """The options, TASK.OPTION, that it is the way to set."""
        self.aliases = aliases
        """By the names that other OS providers have for it."""
        self.name = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Its own name, and its aliases"""
        return (self.name, *self.aliases)

    def seen(self, text: str) -> str:
        """What people may see of `text`, which is not that of a secret"""
        return text if self.show is None else self.show(text)

    def __set_name__(self, owner: type[Rows], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type[Rows]) -> Parameter[T]: ...
    @overload
    def __get__(self, instance: Rows, owner: type[Rows]) -> T: ...
    def __get__(self, instance: Rows | None, owner: type[Rows]) -> Parameter[T] | T:
        if instance is None:
            return self
        value: T = instance.values.get(self.name, self.default)
        return value

    def __set__(self, instance: Rows, value: object) -> None:
        raise AttributeError("parameters don't change")


class Rows:
    """A group of rows; `values` holds those that were set"""

    values: Mapping[str, Any]

    rows: ClassVar[Mapping[str, Parameter[Any]]] = {}
    """All rows of all groups by name, in the order of the manual: the table's, not a group's."""


def of(groups: tuple[type, ...]) -> dict[str, Parameter[Any]]:
    """The rows of `groups` by name, in their order"""
    return {name: row for group in groups for name, row in vars(group).items() if isinstance(row, Parameter)}
