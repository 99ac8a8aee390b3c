"""The OS parameters: one row each

`Parameters` below is the table: a row is a name, a parser, a default, a help text and an example, and the attribute's
type for everybody who uses it. parameters.list, `verify` and the manual's table follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, overload

from helper_host.errors import ProviderError
from helper_host.ganeti import foreign, values
from helper_host.ganeti.task_options import Item
from helper_host.ganeti.values import Invalid
from helper_host.log import printable

ENVIRONMENT = "OSP_"
"""Prefix of the variables that carry them."""
QUOTED_MAX = 80
"""Most characters of a value that an error quotes."""

SNF, SIMPLE = "snf-image", "instance-simpleimage"
HASH = "$6$saltsaltsaltsalt$" + "a" * 86
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g me@example.org"

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

    def __set_name__(self, owner: type[Parameters], name: str) -> None:
        self.name = name
        owner.rows[name] = self

    @overload
    def __get__(self, instance: None, owner: type[Parameters]) -> Parameter[T]: ...
    @overload
    def __get__(self, instance: Parameters, owner: type[Parameters]) -> T: ...
    def __get__(self, instance: Parameters | None, owner: type[Parameters]) -> Parameter[T] | T:
        if instance is None:
            return self
        value: T = instance.values.get(self.name, self.default)
        return value

    def __set__(self, instance: Parameters, value: object) -> None:
        raise AttributeError("parameters don't change")


class Parameters:
    """The parameters of one call; `values` holds those that were set"""

    rows: ClassVar[dict[str, Parameter[Any]]] = {}

    image = Parameter(
        values.image,
        "",
        "Image: a name in the image store, a path in an allowed folder, an https, http, file or local URL, one of a"
        " scheme that the node has a program for, or none to customise what is on the disk",
        example="debian-12",
        shown="must be given",
        show=values.shown_image,
        aliases={"img_id": Alias(SNF, "debian_base-7.0-x86_64", foreign.img_id)},
    )
    image_format = Parameter(
        values.image_format,
        "auto",
        "Format of the image: auto (by looking at it), raw, qcow2, vmdk, vdi, vhd or vhdx, with +gz, +bz2, +xz or +zst"
        " where it is compressed; diskdump, extdump or ntfsdump as in snf-image",
        example="raw+gz",
        shown="auto",
        aliases={
            "img_format": Alias(SNF, "diskdump", foreign.img_format),
            "image_type": Alias(SIMPLE, "raw+bz2", foreign.image_type),
        },
    )
    partition = Parameter(
        values.partition,
        "",
        "What is put around an image that is one bare filesystem: no, msdos (a partition table with boot code), gpt, or"
        " yes: msdos, and gpt on disks of more than 2 TiB",
        example="yes",
        shown="no; msdos for extdump and ntfsdump",
    )
    image_checksum = Parameter(
        values.image_checksum,
        None,
        "Checksum of the image's file: sha256:HEX, sha512:HEX, or a list that has it (SHA256SUMS): its URL, its path,"
        " or its name next to the image",
        example="sha256:" + "0123456789abcdef" * 4,
        shown="not checked",
        quoted=False,
    )
    image_signature = Parameter(
        values.image_signature,
        None,
        "OpenPGP signature of the list of checksums, or else of the image's file: its URL, its path, or its name next"
        " to what it signs; the keys are in the node's keyrings folder",
        example="SHA256SUMS.asc",
        shown="not checked",
        quoted=False,
    )
    os_family = Parameter(
        values.os_family, "", "Family of the system in the image: linux, or auto", example="linux", shown="auto"
    )
    root_partition = Parameter(
        values.root_partition,
        "",
        "Number of the partition with the root filesystem; none for a disk without partitions",
        example="1",
        shown="found by its content",
    )
    users = Parameter[tuple[str, ...]](
        values.users,
        (),
        "Users of the image that get the password and the keys",
        example="root debian",
        shown="root",
    )
    password = Parameter(
        values.password,
        "",
        "Password of the users; pass it with --os-parameters-secret",
        example="correct horse",
        shown="left as it is",
        secret=True,
        exclusive=("password_hash",),
        aliases={"img_passwd": Alias(SNF, "1Ki77y")},
    )
    password_hash = Parameter(
        values.password_hash,
        "",
        "Password of the users as a crypt(5) hash, instead of password",
        example=HASH,
        shown="left as it is",
        secret=True,
        exclusive=("password",),
        aliases={"img_passwd_hash": Alias(SNF, HASH)},
    )
    ssh_keys = Parameter[tuple[str, ...]](
        values.ssh_keys,
        (),
        "SSH public keys of the users, as in authorized_keys; lines separated by newlines or by \\n",
        example=KEY,
        shown="none added",
        secret=True,
        lines=True,
        aliases={"auth_keys": Alias(SNF, KEY)},
    )
    hostname = Parameter(values.hostname, "", "Hostname", example="www.example.org", shown="the instance's name")
    swap = Parameter(
        values.swap,
        None,
        "Swap space to make: file:MIB, or partition:MIB at the end of the disk",
        example="file:512",
        shown="none made",
    )
    skip_tasks = Parameter[tuple[str, ...]](
        values.task_names, (), "Tasks that are not run", example="host-keys machine-id", shown="none"
    )
    dns_servers = Parameter[tuple[str, ...]](
        values.addresses,
        (),
        "Addresses of DNS servers, for NICs with a fixed address",
        example="192.0.2.53 2001:db8::53",
        shown="none",
    )
    dns_search = Parameter[tuple[str, ...]](
        values.domains, (), "Domains in which short names are looked for", example="example.org", shown="none"
    )

    image_description = Parameter(
        values.flag,
        True,
        "Whether the image's own description, in it or beside it in the store, counts: yes or no",
        example="no",
        shown="yes",
    )
    task_options = Parameter[tuple[Item, ...]](
        values.task_options,
        (),
        "Options of tasks: TASK.OPTION=value, several separated by blanks, values with blanks between quotes",
        example="org.example.motd.owner=example.org",
        shown="as declared",
        quoted=False,
        lines=True,
    )
    task_secrets = Parameter[tuple[Item, ...]](
        values.task_options,
        (),
        "Options of tasks that are secret, in the same form; pass it with --os-parameters-secret",
        example="org.example.join.token='s3 cr3t'",
        shown="as declared",
        secret=True,
        lines=True,
    )
    custom_task = Parameter(
        values.custom_task,
        None,
        "A task for this instance only: base64 of its file, or an https URL with #sha256:HEX of it appended",
        example="IyEvYmluL3NoCmVjaG8gaGVsbG8K",
        shown="none",
        secret=True,
        lines=True,
    )
    config_url = Parameter(
        values.config_url,
        None,
        "URL (https, http, file) of a JSON object with further OS parameters, fetched at creation; those that are given"
        " here win",
        example="https://example.org/web.json",
        shown="none",
        quoted=False,
    )
    img_properties = Parameter(
        values.properties,
        None,
        "Image properties as snf-image has them, a JSON object",
        example='{"OSFAMILY":"linux","USERS":"root"}',
        shown="none",
        quoted=False,
        lines=True,
    )
    inst_properties = Parameter(
        values.properties,
        None,
        "Image properties for this instance, which override img_properties",
        example='{"EXCLUDE_TASK_DeleteSSHKeys":"yes"}',
        shown="none",
        quoted=False,
        lines=True,
    )

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
    """The manual's table, in Markdown"""
    lines = ["| parameter | meaning | default | example |", "|---|---|---|---|"]
    for row in Parameters.rows.values():
        example = row.example if len(row.example) <= 40 else f"{row.example[:37]}..."
        secret = " (secret)" if row.secret else ""
        text = row.help.replace("|", "\\|").replace("\\n", "`\\n`")
        lines.append(f"| `{row.name}`{secret} | {text} | {row.shown} | `{example}` |")
    return "\n".join(lines) + "\n"
