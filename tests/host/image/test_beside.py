"""The description beside an image"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helper_agent.declaration import Option, Task
from helper_agent.description import Description
from helper_host.errors import ProviderError
from helper_host.image import beside
from helper_host.tasks import Known, Tasks

MOTD = Task(
    "org.example.motd",
    "filesystems",
    options=(Option("owner", "str", "Domain"), Option("token", "str", "", secret=True)),
)
TASKS = Tasks((Known(MOTD, "x", "", "", "python"),))
WHOLE = """
format = 1
os_family = "linux"
users = ["debian"]
skip_tasks = ["org.example.motd", "org.example.other"]
min_disk = "4g"
[options."org.example.motd"]
owner = "example.org"
"""


@pytest.fixture
def image(tmp_path: Path) -> str:
    return str(tmp_path / "debian-12.qcow2")


def describe(image: str, text: str) -> Path:
    path = Path(f"{image}.toml")
    path.write_text(text)
    path.chmod(0o644)
    return path


def refusal(image: str) -> str:
    with pytest.raises(ProviderError, match="E-SETTINGS") as caught:
        beside.read(image, lambda _: None)
    message = str(caught.value)
    assert f"{image}.toml" in message
    assert message.endswith("image_description=no")
    return message


def test_most_images_have_none(image: str) -> None:
    assert beside.read(image, pytest.fail) is None


def test_a_whole_one(image: str) -> None:
    describe(image, WHOLE)
    found = beside.read(image, pytest.fail)
    assert found == Description(
        os_family="linux",
        users=("debian",),
        skip_tasks=("org.example.motd", "org.example.other"),
        min_disk=4 << 30,
        options={"org.example.motd": {"owner": "example.org"}},
    )


def test_what_is_not_known_is_a_warning(image: str) -> None:
    describe(image, "format = 1\ncolour = 'red'\n")
    warnings: list[str] = []
    beside.read(image, warnings.append)
    assert warnings == [f"{image}.toml knows nothing of 'colour' here"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("format = 2\n", "doesn't say format = 1"),
        ("x = \n", "is not TOML"),
        ("format = 1\nos_family = 'plan9'\n", "has os_family = 'plan9', which is not known"),
        ("format = 1\nmin_disk = 'big'\n", "is no size"),
        ("format = 1\n" + "#" * 70_000, "more than 65536 bytes"),
    ],
)
def test_a_broken_one(image: str, text: str, words: str) -> None:
    describe(image, text)
    assert words in refusal(image)


def test_it_must_be_roots_own(image: str) -> None:
    describe(image, WHOLE).chmod(0o666)
    assert "chmod go-w" in refusal(image)


def test_a_fifo_does_not_block(image: str) -> None:
    os.mkfifo(f"{image}.toml")
    assert "is not a regular file" in refusal(image)


def test_the_disk_it_wants(image: str) -> None:
    beside.check_disk(image, Description(min_disk=1 << 30), 1 << 30)
    with pytest.raises(ProviderError, match="E-DISK-SMALL") as caught:
        beside.check_disk(image, Description(min_disk=1 << 30), (1 << 30) - 1)
    assert "The disk has 1023 MiB" in str(caught.value)
    assert f"wants 1024 (min_disk in {image}.toml)" in str(caught.value)


def test_options_that_this_node_can_take(image: str) -> None:
    warnings: list[str] = []
    described = Description(
        options={"org.example.motd": {"owner": "a", "token": "canary", "colour": "red"}, "org.example.other": {"x": 1}}
    )
    assert beside.options(image, described, TASKS, warnings.append) == {"org.example.motd": {"owner": "a"}}
    assert [warning.removeprefix(f"{image}.toml ") for warning in sorted(warnings)] == [
        "has an option of the task org.example.motd that it doesn't have: 'colour'",
        "has options of the task 'org.example.other', which is not there",
        "sets org.example.motd.token, which is a secret and can't come from there",
    ]


def test_an_option_of_another_kind(image: str) -> None:
    with pytest.raises(ProviderError, match=r"E-SETTINGS: .*takes text, not 3"):
        beside.options(image, Description(options={"org.example.motd": {"owner": 3}}), TASKS, pytest.fail)


def test_tasks_to_skip(image: str) -> None:
    warnings: list[str] = []
    described = Description(skip_tasks=("org.example.motd", "org.example.other"))
    assert beside.skipped(image, described, TASKS, warnings.append) == ("org.example.motd",)
    assert warnings == [f"{image}.toml skips the task 'org.example.other', which is not there"]
