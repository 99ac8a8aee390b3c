"""The OS parameters: one row each

A row is a name, a parser, a default, a help text and an example, and the attribute's type for everybody who uses it.
Rows are in the files of their groups beside this one; parameters.list, `verify` and the manual follow from them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from helper_host.errors import ProviderError
from helper_host.ganeti import account_values, values
from helper_host.ganeti.parameters.accounts import AccountRows
from helper_host.ganeti.parameters.boot import BootRows
from helper_host.ganeti.parameters.cloud import CloudRows
from helper_host.ganeti.parameters.disks import DiskRows
from helper_host.ganeti.parameters.files import FileRows
from helper_host.ganeti.parameters.image import ImageRows
from helper_host.ganeti.parameters.network import NetworkRows
from helper_host.ganeti.parameters.properties import PropertyRows
from helper_host.ganeti.parameters.row import Alias, Parameter, of
from helper_host.ganeti.parameters.system import SystemRows
from helper_host.ganeti.parameters.tasks import TaskRows
from helper_host.ganeti.values import Invalid
from helper_host.log import printable

__all__ = ["Alias", "Parameter", "Parameters"]

ENVIRONMENT = "OSP_"
"""Prefix of the variables that carry them."""
QUOTED_MAX = 80
"""Most characters of a value that an error quotes."""

GROUPS = (
    ImageRows,
    SystemRows,
    AccountRows,
    NetworkRows,
    DiskRows,
    BootRows,
    FileRows,
    CloudRows,
    TaskRows,
    PropertyRows,
)
"""In the order of the manual."""


class Parameters(
    ImageRows, SystemRows, AccountRows, NetworkRows, DiskRows, BootRows, FileRows, CloudRows, TaskRows, PropertyRows
):
    """The parameters of one call; `values` holds those that were set"""

    rows = of(GROUPS)

    def __init__(self, given: Mapping[str, Any], defaults: Collection[str] = ()) -> None:
        self.values = dict(given)
        self.defaults = frozenset(defaults)
        """Names of those that were not given by the user: the settings have them."""

    def given(self, name: str) -> bool:
        """Whether the user set it"""
        return name in self.values and name not in self.defaults

    def without(self, names: Collection[str]) -> Parameters:
        """A copy in which `names` are not set"""
        return Parameters({name: value for name, value in self.values.items() if name not in names}, self.defaults)

    def having(self, found: Mapping[str, Any]) -> Parameters:
        """A copy in which `found`, parsed values by name, are set"""
        return Parameters({**self.values, **found}, self.defaults)

    def with_defaults(self, weaker: Mapping[str, Any]) -> Parameters:
        """A copy in which `weaker`, parsed values by name, are set where nothing else is"""
        return Parameters({**weaker, **self.values}, self.defaults)

    def __repr__(self) -> str:
        rows = [(self.rows[name], value) for name, value in self.values.items()]
        shown = (
            f"{row.name}={'...' if row.secret else repr(row.seen(value) if row.show else value)}" for row, value in rows
        )
        return f"Parameters({', '.join(shown)})"


def parse(environ: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> Parameters:
    """The parameters in `environ` (OSP_NAME), and `defaults` by name for those that aren't there

    Raises:
        ProviderError: E-PARAMETER, naming the parameter, and quoting its value unless it is secret
    """
    given = in_environment(environ)
    parsed = parse_values({**without_set(defaults or {}, given), **given})
    own = {row.name for row in Parameters.rows.values() if any(name in given for name in row.names)}
    return Parameters(parsed.values, parsed.values.keys() - own)


def in_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The texts of the parameters in `environ`, by the names that were used"""
    # an empty value is the way to say on the command line that a default is not wanted
    return {name: value for name in by_name() if (value := environ.get(variable(name))) is not None}


def without_set(weak: Mapping[str, str], strong: Mapping[str, str]) -> dict[str, str]:
    """`weak` without what `strong` sets too, under whatever name, or what can't be set together with it"""
    rows = by_name()
    taken = {row.name for name in strong if (row := rows.get(name)) is not None}
    return {
        name: text
        for name, text in weak.items()
        if (row := rows.get(name)) is None or not taken & {row.name, *row.exclusive}
    }


def by_name() -> dict[str, Parameter[Any]]:
    """The rows by their names and aliases"""
    return {name: row for row in Parameters.rows.values() for name in row.names}


def parse_values(given: Mapping[str, str], unquoted: Collection[str] = ()) -> Parameters:
    """Parameters from their texts by name; an empty text is none

    Args:
        unquoted: names of those whose values no error may quote

    Raises:
        ProviderError: E-PARAMETER
    """
    rows = by_name()
    result: dict[str, Any] = {}
    typed: dict[str, str] = {}
    for name, text in given.items():
        row = rows.get(name)
        if row is None:
            raise error(name, "is not known", f"known are {', '.join(Parameters.rows)}")
        if text == "" or (text.isspace() and not row.secret):
            continue
        if row.name in typed:
            raise error(name, f"means the same as '{typed[row.name]}', which is given too", "give one of them")
        result[row.name] = _parsed(row, name, text, quoted=row.quoted and name not in unquoted)
        typed[row.name] = name
    for name in result:
        for other in Parameters.rows[name].exclusive:
            if other in result:
                raise error(typed[name], f"can't be given together with '{typed[other]}'", "give one of them")
    parsed = Parameters(result)
    if parsed.partition:
        _check_partition(parsed)
    name, cause, remedy = account_values.contradiction(parsed)
    if name:
        raise error(name, cause, remedy)
    return parsed


def _check_partition(given: Parameters) -> None:
    """Whether what is put around the image goes with what the image is said to be"""
    from helper_host.image.partitioning import choice

    try:
        choice.check(given.partition, given.image_format)
    except ValueError as contradiction:
        raise error("partition", f"'{given.partition}' {contradiction}", "correct one of them") from None
    if given.partition != choice.NO and given.root_partition == "none":
        raise error("root_partition", f"'none' contradicts partition={given.partition}", "leave one of them out")


def _parsed(row: Parameter[Any], name: str, text: str, *, quoted: bool) -> object:
    alias = row.aliases.get(name)
    parser = row.parse if alias is None or alias.parse is None else alias.parse
    try:
        values.check_text(text, newlines=row.lines)
        return parser(text)
    except Invalid as invalid:
        cause = f"{values.quote(row.seen(text), QUOTED_MAX)} {invalid.why}" if quoted else f"the value {invalid.vague}"
        raise error(name, cause, invalid.remedy) from None
    except ProviderError as refused:
        cause = refused.cause if quoted or not row.quoted else "the value can't be right"
        raise error(name, cause, refused.remedy) from None


def error(name: str, cause: str, remedy: str) -> ProviderError:
    """E-PARAMETER for a parameter, under the name that the user typed"""
    return ProviderError("E-PARAMETER", f"OS parameter '{name}': {printable(cause)}", remedy)


def variable(name: str) -> str:
    """The environment variable that carries a parameter"""
    return ENVIRONMENT + name.upper().replace("-", "_")


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` but for the parameters that are secret, may have a secret in them, or aren't ours"""
    shown = {variable(name): row for name, row in by_name().items() if row.quoted}
    return {
        name: shown[name].seen(value) if name in shown else value
        for name, value in environ.items()
        if not name.startswith(ENVIRONMENT) or name in shown
    }


def parameters_list() -> str:
    """The file parameters.list: `name description` a line; Ganeti allows no blank line and no comment in it"""
    lines = []
    for row in Parameters.rows.values():
        lines.append(f"{row.name} {row.help}")
        lines += [f"{name} {row.name}, as {alias.provider} has it" for name, alias in row.aliases.items()]
    return "\n".join(lines) + "\n"


def table() -> str:
    """The manual's table, in Markdown; of parameters that differ in their number alone, one row is for all but 0"""
    lines = ["| parameter | meaning | default | example |", "|---|---|---|---|"]
    for row in Parameters.rows.values():
        stem = row.name.rstrip("0123456789")
        numbers = [int(name.removeprefix(stem)) for name in Parameters.rows if re.fullmatch(f"{stem}[0-9]+", name)]
        number = row.name.removeprefix(stem)
        if number and int(number) > 1:
            continue
        name, text = f"`{row.name}`", row.help
        if number == "1":
            name, text = f"{name} to `{stem}{max(numbers)}`", f"As `{stem}0`"
        example = row.example if len(row.example) <= 40 else f"{row.example[:37]}..."
        secret = " (secret)" if row.secret else ""
        text = text.replace("|", "\\|").replace("\\n", "`\\n`")
        lines.append(f"| {name}{secret} | {text} | {row.shown} | `{example}` |")
    return "\n".join(lines) + "\n"
