"""The table of OS parameters"""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_host.errors import ProviderError
from helper_host.ganeti import parameters
from helper_host.ganeti.parameters import Parameters, parse, parse_values
from helper_host.ganeti.values import Swap
from helper_host.image.integrity.checksum import Checksum
from helper_host.image.integrity.reference import Reference

DEFINITION = Path(__file__).parents[3] / "host" / "definition"
ED25519 = Parameters.rows["ssh_keys"].example


def refusal(given: Mapping[str, str]) -> str:
    with pytest.raises(ProviderError) as caught:
        parse_values(given)
    assert caught.value.code == "E-PARAMETER"
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_nothing_given() -> None:
    empty = parse({"PATH": "/bin"})
    assert (empty.image, empty.image_format, empty.users, empty.swap) == ("", "auto", (), None)


def test_parameters_come_from_the_environment() -> None:
    given = parse({"OSP_IMAGE": "debian-12", "OSP_USERS": "root,admin", "OSP_DNS_SERVERS": "192.0.2.1 2001:db8::1"})
    assert given.image == "debian-12"
    assert given.users == ("root", "admin")
    assert given.dns_servers == ("192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize("row", Parameters.rows.values(), ids=lambda row: row.name)
def test_every_rows_example_is_valid_and_its_texts_are_fit_to_print(row: parameters.Parameter[object]) -> None:
    parse_values({row.name: row.example})
    assert row.help and "\n" not in row.help and not row.help.endswith(".")
    assert row.shown
    for other in row.exclusive:
        assert row.name in Parameters.rows[other].exclusive


@pytest.mark.parametrize("row", Parameters.rows.values(), ids=lambda row: row.name)
def test_ganeti_can_carry_the_name(row: parameters.Parameter[object]) -> None:
    for name in row.names:
        assert set(name) <= set(string.ascii_lowercase + string.digits + "_-")
        assert not name.startswith("no_")
        assert name not in ("os-image", "os-install-package")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("image", "/srv/images/a.raw", "/srv/images/a.raw"),
        ("image", "none", "none"),
        ("image_format", "raw", "raw"),
        ("image_format", " QCOW2+xz ", "qcow2+xz"),
        ("image_checksum", "SHA256:" + "AB" * 32, Checksum("sha256", "ab" * 32)),
        ("image_checksum", " SHA256SUMS ", Reference("SHA256SUMS")),
        ("image_checksum", "https://example.org/SHA256SUMS", Reference("https://example.org/SHA256SUMS")),
        ("image_signature", "%.asc", Reference("%.asc")),
        ("image_signature", "/srv/images/SHA256SUMS.gpg", Reference("/srv/images/SHA256SUMS.gpg")),
        ("os_family", "auto", ""),
        ("root_partition", "02", "2"),
        ("root_partition", "none", "none"),
        ("users", "root\\,admin , root", ("root", "admin")),
        ("password", " with blanks ", " with blanks "),
        ("password", " ", " "),
        ("hostname", "web", "web"),
        ("swap", "file:512", Swap("file", 512)),
        ("swap", "partition:1", Swap("partition", 1)),
        ("skip_tasks", "host-keys org.example.task", ("host-keys", "org.example.task")),
        ("dns_search", "example.org. lan", ("example.org.", "lan")),
        ("image_description", "No", False),
    ],
)
def test_values(name: str, text: str, value: object) -> None:
    assert getattr(parse_values({name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("image", "a/.b", "a/.b"),
        ("image", "/srv/../etc/shadow", "has .. in it"),
        ("image", "-rf", "is not a name"),
        ("image_format", "floppy", "'floppy' is not known; give one of auto, raw, qcow2"),
        ("image_checksum", "sha256:abc", "is not a checksum"),
        ("image_checksum", "md5:" + "a" * 32, "is not a checksum"),
        ("image_checksum", "a" * 64, "doesn't say which checksum it is"),
        ("image_signature", "../SHA256SUMS", "is neither a URL nor a path"),
        ("os_family", "windows", "'windows' is not known"),
        ("root_partition", "0", "'0' is not a partition's number"),
        ("root_partition", "sda1", "'sda1' is not"),
        ("root_partition", "٣", "is not a partition's number"),
        ("users", "root Jörg", "has 'Jörg' in it"),
        ("users", "-x", "no user's name"),
        ("users", "a:b", "no user's name"),
        ("users", ",", "has nothing in it"),
        ("hostname", "web_1", "'web_1' is not a hostname"),
        ("hostname", "-web", "is not a hostname"),
        ("hostname", "a" * 64, "is not a hostname"),
        ("hostname", "a..b", "is not a hostname"),
        ("hostname", "12", "but a number"),
        ("hostname", "a\nb", "has a newline in it"),
        ("swap", "512", "'512' is neither"),
        ("swap", "True", "'True' is neither"),
        ("swap", "file:0", "is not of 1 to"),
        ("swap", "file:-1", "is neither"),
        ("skip_tasks", "host_keys;rm", "no task's name"),
        ("dns_servers", "resolver.example.org", "no IP address"),
        ("dns_servers", "192.0.2.1/24", "no IP address"),
        ("dns_search", "exa mple_", "no domain"),
        ("image", "a\x1b[31m", "control characters"),
        ("image", "a\udcff", "not UTF-8"),
        ("image", "a\x9b", "control characters"),
        ("image_description", "maybe", "'maybe' is neither yes nor no"),
        ("nonsense", "1", "is not known"),
    ],
)
def test_refusals_name_the_parameter_and_quote_the_value(name: str, text: str, words: str) -> None:
    message = refusal({name: text})
    assert message.startswith(f"E-PARAMETER: OS parameter '{name}': ")
    assert words in message
    assert "; " in message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("password", "canary\x07"),
        ("password", "canary" * 100),
        ("password", "canary\nsecond"),
        ("password_hash", "canary"),
        ("password_hash", "$6$canary$short"),
        ("ssh_keys", "canary"),
        ("ssh_keys", "ssh-ed25519 canary"),
        ("ssh_keys", f"{ED25519}\nssh-rsa canary canary"),
        ("ssh_keys", "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary"),
        ("ssh_keys", "\x01canary"),
    ],
)
def test_a_secret_is_never_quoted(name: str, text: str) -> None:
    assert "canary" not in refusal({name: text})
    assert "canary" not in refusal({name: text, "swap": "file:1"})


def test_secrets_are_not_in_the_representation() -> None:
    given = parse_values({"password": "canary", "ssh_keys": ED25519, "hostname": "web"})
    assert "canary" not in repr(given)
    assert "AAAA" not in repr(given)
    assert "hostname='web'" in repr(given)


HASHES = (
    "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
    "$6$saltsalt$" + "a" * 86,
    "$6$rounds=10000$saltsalt$" + "a" * 86,
    "$5$saltsalt$" + "a" * 43,
    "$2b$12$" + "a" * 53,
    "$1$saltsalt$" + "a" * 22,
)


@pytest.mark.parametrize("text", HASHES)
def test_password_hashes(text: str) -> None:
    assert parse_values({"password_hash": text}).password_hash == text


@pytest.mark.parametrize(
    "text", [*(text[:-1] for text in HASHES), *(text + ":" for text in HASHES), "!", "*", "abJnggxhB/yWI"]
)
def test_what_is_no_password_hash(text: str) -> None:
    assert "is not a crypt(5) hash" in refusal({"password_hash": text})


def test_exclusive_parameters() -> None:
    message = refusal({"password": "a", "password_hash": HASHES[0]})
    assert "'password': can't be given together with 'password_hash'" in message


def test_what_is_given_replaces_defaults_and_what_excludes_them() -> None:
    defaults = {"password_hash": HASHES[0], "swap": "file:1"}
    given = parse({"OSP_PASSWORD": "x", "OSP_SWAP": ""}, defaults)
    assert (given.password, given.password_hash, given.swap) == ("x", "", None)
    assert parse({}, defaults).swap == Swap("file", 1)


ALIASES = [(row, name) for row in Parameters.rows.values() for name in row.aliases]


@pytest.mark.parametrize(("row", "name"), ALIASES, ids=[name for _, name in ALIASES])
def test_every_alias_example_is_valid(row: parameters.Parameter[object], name: str) -> None:
    given = parse({parameters.variable(name): row.aliases[name].example})
    assert given.given(row.name)
    assert f"\n{name} {row.name}, as {row.aliases[name].provider} has it\n" in parameters.parameters_list()
    assert row.names == (row.name, *row.aliases)


def test_an_alias_means_the_same() -> None:
    assert parse({"OSP_IMG_ID": "debian"}).image == "debian"
    assert "OS parameter 'img_id'" in refusal({"img_id": "a b"})
    assert "'img_id': means the same as 'image'" in refusal({"image": "a", "img_id": "b"})
    assert "'image_type': means the same as 'img_format'" in refusal({"img_format": "diskdump", "image_type": "raw"})
    assert "'img_passwd': can't be given together with 'img_passwd_hash'" in refusal(
        {"img_passwd": "a", "img_passwd_hash": HASHES[0]}
    )


def test_an_alias_has_its_own_values() -> None:
    assert parse_values({"img_format": "extdump"}).image_format == "extdump"
    assert parse_values({"image_type": "raw+bzip2"}).image_format == "raw+bzip2"
    assert "'qcow2' is not known; give one of diskdump, extdump, ntfsdump" in refusal({"img_format": "qcow2"})
    assert "'diskdump' is not known; give one of raw, raw+gz" in refusal({"image_type": "diskdump"})


def test_what_is_given_by_any_name_replaces_a_default_of_any_name() -> None:
    assert parse({"OSP_IMG_ID": "a"}, {"image": "b"}).image == "a"
    assert parse({"OSP_IMAGE": "a"}, {"img_id": "b"}).image == "a"
    given = parse({"OSP_IMG_PASSWD_HASH": HASHES[0]}, {"img_passwd": "b"})
    assert (given.password, given.password_hash) == ("", HASHES[0])
    assert parse({"OSP_IMG_ID": "a"}, {"img_format": "extdump"}).defaults == {"image_format"}


def test_a_secret_is_one_under_its_alias_too() -> None:
    shown = parameters.without_secrets({"OSP_IMG_PASSWD": "canary", "OSP_AUTH_KEYS": ED25519, "OSP_IMG_ID": "a"})
    assert shown == {"OSP_IMG_ID": "a"}
    assert "canary" not in refusal({"img_passwd": "canary" * 100})


@pytest.mark.parametrize("partition", ["", "no", "yes", "msdos", "gpt", "YES"])
def test_partition(partition: str) -> None:
    assert parse_values({"partition": partition}).partition == partition.lower()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"partition": "maybe"}, "'maybe' is not known"),
        ({"partition": "no", "img_format": "extdump"}, "'no' contradicts extdump, which is one filesystem"),
        ({"partition": "gpt", "image_format": "diskdump+gz"}, "'gpt' contradicts diskdump+gz, which is a whole disk"),
        ({"partition": "yes", "root_partition": "none"}, "'none' contradicts partition=yes"),
    ],
)
def test_partition_and_what_contradicts_it(given: dict[str, str], words: str) -> None:
    assert words in refusal(given)


@given(st.sampled_from(sorted(parameters.by_name())), st.text(max_size=200))
def test_any_text_is_taken_or_refused_in_one_printable_line(name: str, text: str) -> None:
    try:
        parse_values({name: text})
    except ProviderError as error:
        assert str(error).isprintable()
        assert str(error).startswith(f"E-PARAMETER: OS parameter '{name}': ")


SHELL = "$()`;|&<>\\'\"*?[]{}#! \t"


@given(
    st.sampled_from([name for name, row in Parameters.rows.items() if not row.secret]),
    st.text(alphabet=SHELL + string.ascii_letters + "-/ ", min_size=1, max_size=40),
)
def test_what_gets_through_has_no_word_that_a_shell_or_an_option_parser_would_obey(name: str, text: str) -> None:
    try:
        value = getattr(parse_values({name: text}), name)
    except ProviderError:
        return
    for word in value if isinstance(value, tuple) else (value,):
        if isinstance(word, str) and not word.startswith("/"):
            assert not word.startswith("-")
            assert not set(word) & set(SHELL)


def test_the_definition_lists_what_the_table_has() -> None:
    text = (DEFINITION / "parameters.list").read_text()
    assert text == parameters.parameters_list(), "run: make parameters-list"
    for line in text.splitlines():
        name, _, words = line.partition(" ")
        assert name in parameters.by_name() and words and not line.startswith("#")


def test_the_manuals_table_has_every_parameter() -> None:
    lines = parameters.table().splitlines()
    several = [name for name in Parameters.rows if name[-1].isdigit() and name[-1] not in "01"]
    assert len(lines) == 2 + len(Parameters.rows) - len(several)
    assert all(line.replace("\\|", "").count("|") == 5 for line in lines)


def test_numbered_parameters_share_a_row_of_the_manual() -> None:
    lines = parameters.table().splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| `nic")] == ["`nic0`", "`nic1` to `nic7`"]
    assert [line.split("|")[2].strip() for line in lines if line.startswith("| `file1")] == ["As `file0`"]
