"""snf-image's image properties"""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent.declaration import Task
from helper_host.errors import ProviderError
from helper_host.ganeti import properties
from helper_host.ganeti.parameters import parse_values
from helper_host.ganeti.properties import Wishes, excluded, parse, read
from helper_host.ganeti.values import Invalid
from helper_host.tasks import Known, Tasks

TASKS = Tasks(
    tuple(
        Known(Task(name, phase), "x", "", "", "python")
        for name, phase in (
            ("grow-filesystem", "devices"),
            ("host-keys", "filesystems"),
            ("hostname", "filesystems"),
            ("org.example.motd", "filesystems"),
            ("password", "filesystems"),
            ("ssh-keys", "filesystems"),
        )
    )
)
PROGRAM = base64.b64encode(b"#!/bin/bash\necho canary\n").decode()


def wishes(image: str = "{}", instance: str = "{}") -> Wishes:
    return read(parse(image), parse(instance))


def test_the_instances_properties_override_the_images_in_any_case() -> None:
    found = wishes('{"osfamily":"linux","USERS":"root admin","Root_Partition":1}', '{"users":"debian"}')
    assert (found.os_family, found.users, found.root_partition) == ("linux", ("debian",), "1")
    assert found.all == {"OSFAMILY": "linux", "USERS": "debian", "ROOT_PARTITION": "1"}
    assert found.remarks == ()


def test_nothing_given() -> None:
    assert read(None, None) == Wishes()


def test_values_may_be_no_strings() -> None:
    found = wishes('{"A":1,"B":true,"C":false,"D":null,"E":[1,{"x":"y"}],"F":1.5}').all
    assert found == {"A": "1", "B": "yes", "C": "no", "D": "", "E": '[1, {"x": "y"}]', "F": "1.5"}


def test_one_warning_for_all_that_nothing_acts_on() -> None:
    found = wishes('{"DESCRIPTION":"Debian","SORTORDER":1,"USERS":"root","os-version":"12"}')
    assert found.remarks == ("Image properties that nothing here acts on: DESCRIPTION, SORTORDER, OS-VERSION",)
    assert "OS-VERSION" not in found.all, "no environment has such a name"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{OSFAMILY:linux}", "is not JSON"),
        ("[1]", "no object"),
        ('"x"', "no object"),
        ('{"a":"1","A":"2"}', "has 'A' twice"),
        ('{"a":"\\u0000"}', "NUL"),
        ('{"a":"\\ud800"}', "half character"),
        ('{"ROOT_PARTITION":"sda1"}', "has for ROOT_PARTITION a value that is not a partition's number"),
        ('{"OSFAMILY":"plan9"}', "has for OSFAMILY a value that is not known"),
        ('{"USERS":"a:b"}', "has for USERS a value that has 'a:b' in it"),
        ('{"CUSTOM_TASK":"canary!"}', "has for CUSTOM_TASK a value that is neither base64"),
        ("[" * 100_000, "is not JSON"),
        # less than what JSON's parser takes, more than what Python's own functions do
        (f'{{"a":{"[" * 900}{"]" * 900}}}', "too deep"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    for name in ("img_properties", "inst_properties"):
        with pytest.raises(ProviderError, match="E-PARAMETER") as caught:
            parse_values({name: text})
        assert words in str(caught.value)
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "tasks"),
    [
        ("EXCLUDE_TASK_DeleteSSHKeys", ["host-keys"]),
        ("EXCLUDE_TASK_ASSIGNHOSTNAME", ["hostname"]),
        ("EXCLUDE_TASK_ChangePassword", ["password", "ssh-keys"]),
        ("EXCLUDE_TASK_host-keys", ["host-keys"]),
        ("EXCLUDE_TASK_HOST_KEYS", ["host-keys"]),
        ("EXCLUDE_TASK_org.example.motd", ["org.example.motd"]),
        ("EXCLUDE_TASK_InstallUnattend", []),
        ("EXCLUDE_FilesystemResize_TASKS", ["grow-filesystem"]),
        ("EXCLUDE_MOUNTED_TASKS", ["host-keys", "hostname", "org.example.motd", "password", "ssh-keys"]),
    ],
)
@pytest.mark.parametrize("value", ["yes", "TRUE", "1", "on", "set", True, 1])
def test_excluded_tasks(name: str, tasks: list[str], value: object) -> None:
    found = wishes(json.dumps({name: value}))
    assert excluded(found, TASKS) == (tuple(tasks), ())
    assert found.remarks == ()


@pytest.mark.parametrize("value", ["no", "False", "0", "off", "unset", "", False, 0, None])
def test_excluded_by_a_no_is_not_excluded(value: object) -> None:
    given = {"EXCLUDE_TASK_DeleteSSHKeys": value, "EXCLUDE_MOUNTED_TASKS": value, "EXCLUDE_ALL_TASKS": value}
    found = wishes(json.dumps(given))
    assert excluded(found, TASKS) == ((), ())
    assert not found.flag(properties.EXCLUDE_ALL)


def test_what_is_no_truth_value_is_a_yes_with_a_warning() -> None:
    found = wishes('{"EXCLUDE_ALL_TASKS":"maybe"}')
    assert found.flag(properties.EXCLUDE_ALL)
    assert found.remarks == ("The image property EXCLUDE_ALL_TASKS is neither yes nor no, and taken for a yes",)


def test_a_name_that_no_task_has_is_a_warning() -> None:
    names, remarks = excluded(wishes('{"EXCLUDE_TASK_Nonsense":"yes"}'), TASKS)
    assert names == ()
    assert remarks == ("The image property EXCLUDE_TASK_NONSENSE names no task, neither of snf-image's nor of ours",)


def test_a_custom_task_in_base64() -> None:
    found = wishes(json.dumps({"CUSTOM_TASK": PROGRAM}))
    assert found.custom is not None and found.custom.task is not None
    assert found.custom.task.content == b"#!/bin/bash\necho canary\n"


def test_values_are_not_in_the_representation() -> None:
    given = parse_values({"img_properties": json.dumps({"CUSTOM_TASK": PROGRAM, "X": "canary"})})
    assert "canary" not in repr(given)
    assert PROGRAM not in repr(given)
    assert "CUSTOM_TASK" in repr(given)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=30), JSON, max_size=5))
def test_any_object_is_taken_or_refused(table: dict[str, object]) -> None:
    try:
        found = read(parse(json.dumps(table)), None)
    except Invalid as refused:
        assert refused.why and refused.remedy
        return
    for name, value in found.all.items():
        assert name.isascii() and "=" not in name and "\0" not in name + value
        value.encode()
    excluded(found, TASKS)


@given(st.text(max_size=60))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        read(parse(text), None)
    except Invalid as refused:
        assert refused.why and refused.remedy


def test_the_method_for_passwords() -> None:
    found = wishes('{"passwd_hashing_method":"sha256"}')
    assert found.all == {"PASSWD_HASHING_METHOD": "sha256"}
    assert found.remarks == ()
    with pytest.raises(Invalid, match="has for PASSWD_HASHING_METHOD a value that is not known"):
        parse('{"PASSWD_HASHING_METHOD":"crc32"}')
