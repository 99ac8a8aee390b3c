"""Editing: the value is there, all the rest is as it was, and a second time changes nothing"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from helper_agent.api import TaskError
from helper_agent.tree import editing
from tests.helper.distros import trees
from tests.helper.support import Tree

SSHD = """# The strategy used for options in the default sshd_config
Include /etc/ssh/sshd_config.d/*.conf

#Port 22
#PermitRootLogin prohibit-password
# PasswordAuthentication.  Depending on your PAM configuration,
UsePAM yes

# Example of overriding settings
Match User anoncvs
\tPermitRootLogin no
\tX11Forwarding no
"""


def key(
    text: str,
    name: str,
    value: str | None,
    separator: str = "=",
    *,
    ignore_case: bool = False,
    blocks: tuple[str, ...] = ("Match",),
) -> str:
    return editing.with_key(text, editing.style(name, separator, "#", ignore_case), value, blocks)


def sshd(text: str, name: str, value: str | None) -> str:
    return key(text, name, value, " ", ignore_case=True)


def ini(text: str, section: str, name: str, value: str | None, separator: str = "=", ignore_case: bool = False) -> str:
    return editing.with_ini(text, section, editing.style(name, separator, "#;", ignore_case), value)


# --- files as they are met ---


def test_below_the_default_that_is_commented_out() -> None:
    after = sshd(SSHD, "PermitRootLogin", "no")
    assert after == SSHD.replace("prohibit-password\n", "prohibit-password\nPermitRootLogin no\n")


def test_above_the_first_match_block_and_its_comment() -> None:
    after = sshd(SSHD, "X11Forwarding", "no")
    assert after == SSHD.replace("UsePAM yes\n", "UsePAM yes\nX11Forwarding no\n")


def test_a_file_that_begins_with_a_match_block() -> None:
    assert sshd("# c\nmatch all\n X yes\n", "X", "no") == "X no\n# c\nmatch all\n X yes\n"


def test_another_word_for_blocks() -> None:
    text = "Host *\n  Port 22\n"
    assert key(text, "Port", "1", " ", blocks=("Host", "Match")) == f"Port 1\n{text}"
    assert key(text, "Port", "1", " ") == "Host *\n  Port 1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Port 22\n", "Port 2222\n"),
        ("port 22\n", "port 2222\n"),
        ("Port=22\n", "Port=2222\n"),
        ("  Port \t= 22 # why\r\nx\r\n", "  Port \t= 2222\r\nx\r\n"),
        ("Port\n", "Port 2222\n"),
        ("Port 22", "Port 2222"),
        ("Port 1\nx\nPORT 2\nPort 3", "Port 2222\nx\n"),
        ("Ports 1\n", "Ports 1\nPort 2222\n"),
        ("a 1\r\nb 2", "a 1\r\nb 2\r\nPort 2222\r\n"),
        ("", "Port 2222\n"),
        ("# Port 1\n#Port 2\n#Port 3\n", "# Port 1\n#Port 2\nPort 2222\n#Port 3\n"),
        ("# Port\n## Port 3\n", "# Port\nPort 2222\n## Port 3\n"),
        ("#Ports 2\n# The Port\n", "#Ports 2\n# The Port\nPort 2222\n"),
        ("#\n", "#\nPort 2222\n"),
    ],
)
def test_keywords_of_sshd(before: str, after: str) -> None:
    assert sshd(before, "Port", "2222") == after
    assert sshd(after, "Port", "2222") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A=1\nKEY=old\nB=2\n", "A=1\nKEY=new\nB=2\n"),
        ("KEY = old\n", "KEY = new\n"),
        ("KEY\n", "KEY=new\n"),
        ("KEY \n", "KEY=new\n"),
        ("key=old\n", "key=old\nKEY=new\n"),
        ("KEY_B=1\nKEY B\n", "KEY_B=1\nKEY B\nKEY=new\n"),
        ("#KEY=x\nA=1", "#KEY=x\nKEY=new\nA=1"),
        ('KEY="a \\\n  b \\\n  c"\nB=1\n', "KEY=new\nB=1\n"),
        ("B=x\\\nKEY=inside\nC=1\n", "B=x\\\nKEY=inside\nC=1\nKEY=new\n"),
        ("B=x\\\\\nKEY=old\n", "B=x\\\\\nKEY=new\n"),
        ("# comment \\\nKEY=old\n", "# comment \\\nKEY=new\n"),
        ("KEY==\n", "KEY=new\n"),
    ],
)
def test_variables(before: str, after: str) -> None:
    assert key(before, "KEY", "new") == after
    assert key(after, "KEY", "new") == after


def test_login_defs_counts_the_last_line() -> None:
    text = "UMASK\t022\n# UMASK is the default\nUMASK 077\nUMASKS 1\n"
    assert key(text, "UMASK", "027", "\t") == "UMASK\t027\n# UMASK is the default\nUMASKS 1\n"


def test_none_takes_the_key_away() -> None:
    assert sshd(SSHD, "usepam", None) == SSHD.replace("UsePAM yes\n", "")
    assert sshd(SSHD, "Port", None) == SSHD
    assert ini("[a]\nx=1\nx=2\n[b]\nx=3\n", "a", "x", None) == "[a]\n[b]\nx=3\n"
    assert ini("x=1\n", "a", "x", None) == "x=1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[Time]\n#NTP=\n#FallbackNTP=x\n", "[Time]\n#NTP=\nNTP=ntp\n#FallbackNTP=x\n"),
        ("[Time]\nRoot=1\n\n# about\n[Other]\nNTP=2\n", "[Time]\nRoot=1\nNTP=ntp\n\n# about\n[Other]\nNTP=2\n"),
        ("[Other]\nNTP=1", "[Other]\nNTP=1\n\n[Time]\nNTP=ntp\n"),
        ("", "[Time]\nNTP=ntp\n"),
        ("[Time]", "[Time]\nNTP=ntp\n"),
        ("[Time]\r\n\r\n", "[Time]\r\nNTP=ntp\r\n\r\n"),
        ("[Time]\n  NTP = 1\n[X]\n[Time]\nNTP=2\n", "[Time]\n  NTP = ntp\n[X]\n[Time]\n"),
        ("[Time]\n; NTP=1\nA=1 \\\n NTP=1\n", "[Time]\n; NTP=1\nNTP=ntp\nA=1 \\\n NTP=1\n"),
        ("#[Time]\n#NTP=\n", "#[Time]\n#NTP=\n\n[Time]\nNTP=ntp\n"),
        ("[time]\n", "[time]\n\n[Time]\nNTP=ntp\n"),
        ("[Time]\nNTP = a\n  b\n\tc\nd = e\n", "[Time]\nNTP = ntp\nd = e\n"),
        ("[Time]\n  NTP = a\n  bare\n    B = e\n", "[Time]\n  NTP = ntp\n  bare\n    B = e\n"),
        ("[Time]\n#NTP=\n  b\nc=1\n", "[Time]\n#NTP=\n  b\nc=1\nNTP=ntp\n"),
        ("[Time]\nNTP=1\n NTP=2\n b\n", "[Time]\nNTP=ntp\n"),
        ("[Time]\nA = a\n  b\n", "[Time]\nA = a\n  b\nNTP=ntp\n"),
        ("NTP=0\n[ Time ] # x\nA\n", "NTP=0\n[ Time ] # x\nA\nNTP=ntp\n"),
    ],
)
def test_ini(before: str, after: str) -> None:
    assert ini(before, "Time", "NTP", "ntp") == after
    assert ini(after, "Time", "NTP", "ntp") == after


def test_above_the_first_section() -> None:
    text = "# head\nuid = x\n\n[module]\nuid = y\n"
    assert ini(text, "", "uid", "z", " = ") == text.replace("= x", "= z")
    assert ini(text, "", "gid", "z", " = ") == text.replace("= x\n", "= x\ngid = z\n")
    assert ini("a=1\n", "", "b", "2") == "a=1\nb=2\n"


def test_names_in_any_case() -> None:
    text = "[Global]\n   WorkGroup = A\n"
    assert ini(text, "global", "workgroup", "B", " = ", True) == "[Global]\n   WorkGroup = B\n"


def test_lines_are_replaced_or_taken_away() -> None:
    text = "a 1\r\nb\r\na 2\n ab\na 3"
    assert editing.with_replaced(text, r"a (\d)", r"<\1>") == "<1>\r\nb\r\n<2>\n ab\n<3>"
    assert editing.with_replaced(text, r"a \d", None) == "b\r\n ab\n"
    assert editing.with_replaced(text, "b", "b") == text
    assert editing.with_replaced("\n\nx", "", "y") == "y\ny\nx"


@pytest.mark.parametrize("value", ["a\nb", "a\r", "a\0b", "a\\", "a\\\\\\"])
def test_a_value_that_no_line_can_have(value: str) -> None:
    with pytest.raises(TaskError, match="The value of k"):
        key("", "k", value)
    with pytest.raises(TaskError, match="The value of k"):
        ini("", "s", "k", value)


def test_a_value_that_would_be_the_separator() -> None:
    with pytest.raises(TaskError, match="The value of k begins with ="):
        key("", "k", "=x", " ")


@pytest.mark.parametrize(
    ("name", "separator"),
    [
        ("", "="),
        (" a", "="),
        ("a=b", "="),
        ("a b", " "),
        ("#a", "="),
        ("[a", "="),
        ("a\nb", "="),
        ("a", ""),
        ("a", "\n"),
    ],
)
def test_a_key_that_no_line_can_have(name: str, separator: str) -> None:
    with pytest.raises(ValueError, match=r"no (key|separator)"):
        key("", name, "x", separator)


@pytest.mark.parametrize("section", ["a]", "a\nb", " a"])
def test_a_section_that_no_line_can_have(section: str) -> None:
    with pytest.raises(ValueError, match="no name of a section"):
        ini("", section, "k", "x")


# --- any text ---

WORDS = st.sampled_from(["Key", "key", "Other", "KeyB", "Match", "[s]", "[t]", "#", "# ", ";", "=", " = ", " ", "\t",
                         "", "v", "v w", '"', "\\", "\\\\", "caf\udce9", "\x0c", "\x85", "\u2028"])  # fmt: skip
LINES = st.lists(WORDS, max_size=5).map("".join)
TEXTS = st.builds(
    lambda lines, ends, last: "".join(f"{line}{end}" for line, end in zip(lines, ends, strict=False)) + last,
    st.lists(LINES, max_size=8),
    st.lists(st.sampled_from(["\n", "\r\n"]), min_size=8, max_size=8),
    LINES,
)
VALUES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=()), max_size=8)
SEPARATORS = st.sampled_from(["=", " = ", ": ", " ", "\t"])


class Reader:
    """What a program makes of a file, by other means than those under test"""

    def __init__(
        self, separator: str, *, ignore_case: bool = False, comments: str = "#", indented: bool = False
    ) -> None:
        mark = separator.strip()
        between = rf"[ \t]*{re.escape(mark)}[ \t]*" if mark else r"(?:[ \t]*=[ \t]*|[ \t]+)"
        flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
        self._sets = re.compile(rf"[ \t]*Key(?:{between}(.*?))?[ \t]*", flags)
        self._comments = comments
        self._continued = bool(mark)
        self._mark = mark
        self._indented = indented

    def lines(self, text: str) -> list[str]:
        """As a shell reads them, a backslash at the end taking the next line in, but not in a comment"""
        lines: list[str] = []
        goes_on = False
        for line in text.split("\n"):
            if goes_on or (self._indented and lines and self._is_indented(line, lines[-1])):
                lines[-1] += f"\n{line}"
            else:
                lines.append(line)
            body = line.rstrip("\r")
            comment = not goes_on and (not body.strip() or body.strip()[0] in self._comments)
            goes_on = self._continued and not comment and (len(body) - len(body.rstrip("\\"))) % 2 == 1
        return lines

    def _is_indented(self, line: str, above: str) -> bool:
        depth, before = (len(each) - len(each.lstrip(" \t")) for each in (line, above))
        plain = (each.strip() and each.strip()[0] not in f"{self._comments}" for each in (line, above))
        headers = (each.strip()[:1] == "[" and "]" in each for each in (line, above))
        return depth > before and all(plain) and not any(headers) and self._mark not in line

    def value(self, line: str) -> str | None:
        """Of the key, None where the line is about something else"""
        found = self._sets.fullmatch(line.rstrip("\r\n"))
        return found and (found[1] or "")

    def values(self, text: str) -> list[str]:
        """Of the key, by all lines"""
        return [value for line in self.lines(text) if (value := self.value(line)) is not None]

    def rest(self, text: str) -> list[str]:
        """All lines that are about something else; blank ones at the end count for nothing"""
        lines = [line.rstrip("\r\n") for line in self.lines(text) if self.value(line) is None]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def sections(self, text: str) -> dict[str, list[str]]:
        """Section -> values of the key"""
        found: dict[str, list[str]] = {"": []}
        name = ""
        for line in self.lines(text):
            if line.strip().startswith("[") and "]" in line:
                name = line.strip()[1:].partition("]")[0].strip()
            elif (value := self.value(line)) is not None:
                found.setdefault(name, []).append(value)
        return found


def changed(edit: Callable[[str], str], text: str) -> str | None:
    """What `edit` makes of a text, None where it refuses the value"""
    try:
        after = edit(text)
    except TaskError:
        return None
    assert edit(after) == after, "a second time changed something"
    return after


@given(TEXTS, VALUES, SEPARATORS, st.booleans())
@example("Key \\", "v", "=", False)
@example("a \\\n", "v", "=", False)
@example("Key=\\\n\nKeyKey\n", "", "=", False)
def test_any_text_has_the_value_once_and_nothing_else_changed(
    text: str, value: str, separator: str, ignore_case: bool
) -> None:
    after = changed(lambda each: key(each, "Key", value, separator, ignore_case=ignore_case, blocks=()), text)
    assume(after is not None)
    assert after is not None
    reader = Reader(separator, ignore_case=ignore_case)
    assert reader.values(after) == [value.strip(" \t")]
    assert reader.rest(after) == reader.rest(text)


@given(TEXTS, TEXTS, VALUES)
def test_any_block_stays_to_the_byte(text: str, rest: str, value: str) -> None:
    lines = f"{text}\n Match all\n{rest}".split("\n")
    at = next(number for number, line in enumerate(lines) if line.lower().split(None, 1)[:1] == ["match"])
    after = changed(lambda each: key(each, "Key", value, " "), "\n".join(lines))
    assume(after is not None)
    assert after is not None
    block = "\n".join(lines[at:])
    assert after.endswith(block)
    assert Reader(" ").values(after[: len(after) - len(block)]) == [value.strip(" \t")]


@given(TEXTS, VALUES, st.sampled_from(["=", " = "]), st.sampled_from(["s", "t", "new", ""]))
def test_any_ini_has_the_value_in_its_section(text: str, value: str, separator: str, section: str) -> None:
    after = changed(lambda each: ini(each, section, "Key", value, separator), text)
    assume(after is not None)
    assert after is not None
    reader = Reader(separator, comments="#;", indented=True)
    before, now = reader.sections(text), reader.sections(after)
    assert now.pop(section) == [value.strip(" \t")]
    before_here = before.pop(section, [])
    assert now == before
    if len(before_here) > 1:  # what is indented below one that goes may belong to the next one above
        return
    header = [f"[{section}]"] if f"[{section}]" in reader.rest(after)[len(reader.rest(text)) :] else []
    assert [line for line in reader.rest(after) if line] == [line for line in reader.rest(text) if line] + header


PLAIN = st.text("abc XYZ019.:/-_", max_size=10).map(str.strip)


@given(
    st.dictionaries(st.sampled_from(["one", "two"]), st.dictionaries(st.sampled_from("abc"), PLAIN, max_size=3)),
    st.sampled_from(["one", "two", "three"]),
    st.sampled_from("abcd"),
    PLAIN,
)
def test_the_standard_librarys_parser_agrees(
    content: dict[str, dict[str, str]], section: str, name: str, value: str
) -> None:
    text = "".join(f"[{each}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) for each, keys in content.items())
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(ini(text, section, name, value, " = "))
    wanted = {**content, section: {**content.get(section, {}), name: value}}
    assert {each: dict(parser[each]) for each in parser.sections()} == wanted


@given(TEXTS, st.lists(st.text(st.characters(exclude_characters="\r\n\0"), max_size=5), max_size=4))
def test_any_lines_are_there_once(text: str, lines: list[str]) -> None:
    after = editing.with_lines(text, lines)
    assert editing.with_lines(after, lines) == after
    assert after.startswith(text)
    there = [line.rstrip() for line in after.split("\n")]
    assert all(line.rstrip() in there for line in lines)


# --- in a tree ---


def test_what_changed_is_told(tree: Tree) -> None:
    trees.debian12(tree)
    root = tree.root()
    path = "/etc/ssh/sshd_config"
    before = tree.text(path)
    os.utime(tree / path, (1, 1))
    assert root.set_key(path, "PermitRootLogin", "no", " ", ignore_case=True) is True
    assert root.set_key(path, "permitrootlogin", "no", " ", ignore_case=True) is False
    assert root.set_key(path, "permitrootlogin", None, " ", ignore_case=True) is True
    assert tree.text(path) == before
    assert root.set_ini("/etc/systemd/timesyncd.conf", "Time", "NTP", "ntp.example.org") is True
    assert root.set_ini("/etc/systemd/timesyncd.conf", "Time", "NTP", "ntp.example.org") is False
    assert tree.text("/etc/systemd/timesyncd.conf") == "[Time]\nNTP=ntp.example.org\n"
    assert root.replace_lines("/etc/systemd/timesyncd.conf", "NTP=.*", None) is True
    assert root.append_lines("/etc/x", ["a", "b", "a"]) is True
    assert root.append_lines("/etc/x", ["b", "a"]) is False
    assert tree.text("/etc/x") == "a\nb\n"


def test_nothing_is_written_where_nothing_changes(tree: Tree) -> None:
    tree.put("/f", b"a=1\r\ncaf\xe9 \xff", mode=0o604)
    root = tree.root()
    inode = (tree / "/f").stat().st_ino
    assert root.edit("/f", lambda text: text) is False
    assert root.set_key("/f", "a", "1") is False
    assert root.edit("/absent/file", lambda text: text) is False
    assert root.replace_lines("/absent/file", "a", "b") is False
    assert root.set_key("/absent/file", "a", None) is False
    assert (tree / "/f").stat().st_ino == inode
    assert root.set_key("/f", "b", "2") is True
    assert (tree / "/f").read_bytes() == b"a=1\r\ncaf\xe9 \xff\r\nb=2\r\n"
    assert tree.mode("/f") == 0o604
    assert tree.names() == ["/f"]


def test_a_million_lines_are_too_many(tree: Tree) -> None:
    tree.put("/f", b"x\n" * 1_000_000)
    with pytest.raises(TaskError, match="more than"):
        tree.root().set_key("/f", "a", "1")


def test_a_line_with_a_newline_is_refused(tree: Tree) -> None:
    with pytest.raises(TaskError, match="newline"):
        tree.root().append_line("/f", "a\nb")
