"""README.md and docs/ say what the code does"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from helper_agent import description
from helper_host import settings
from helper_host.ganeti import parameters, task_options
from tests import manual

README = manual.HERE / "README.md"


@pytest.mark.parametrize("page", manual.pages(), ids=lambda page: page.name)
def test_the_generated_parts_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert manual.current(text) == text, "run `make manual`"


def test_every_section_is_on_a_page() -> None:
    from tests.manual.sections import SECTIONS

    used = {part["name"] for page in manual.pages() for part in manual.PART.finditer(page.read_text(encoding="utf-8"))}
    assert used == set(SECTIONS)


def test_every_parameter_in_an_example_exists() -> None:
    pages = [README.read_text(encoding="utf-8"), *(page.read_text(encoding="utf-8") for page in manual.pages())]
    examples = [each for text in pages for each in re.findall(r"`(-O [a-z_]+=[^`]*)`", text)]
    examples += re.findall(r"`([a-z_]+=[^`]*)`", README.read_text(encoding="utf-8"))
    used = {name for example in examples for name in re.findall(r"(?:^|,|-O )([a-z_]+)=", example)}
    known = set(parameters.by_name())
    assert used - known <= {"phase"}, "the manual shows a parameter that doesn't exist"
    assert {"image", "task_options"} <= used


def test_examples_of_task_options_can_be_typed() -> None:
    text = (manual.HERE / "docs" / "task-reference.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^(-O task_options=.*|--os-parameters-secret task_secrets=.*)$", text)
    found: dict[str, str] = {}
    for line in lines:
        value = shlex.split(line, comments=True)[1].partition("=")[2]
        # Ganeti splits -O at commas that have no backslash, and takes the backslash away
        assert not re.search(r"(?<!\\),", value), f"Ganeti would split {line}"
        found |= {f"{item.task}.{item.option}": item.text for item in task_options.parse(value.replace("\\,", ","))}
    assert found["org.example.motd.owner"] == "Accounting, 2nd floor"
    assert found["org.example.monitoring.servers"] == "a.example.org"


def test_the_example_of_a_description_is_one() -> None:
    text = (manual.HERE / "docs" / "task-reference.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n(format = 1.*?)```", text, re.S)
    assert block
    found = description.parse(block[1].encode())
    assert found.options == {"org.example.motd": {"owner": "example.org"}}
    assert not found.remarks


def test_the_example_of_settings_is_one(tmp_path: Path) -> None:
    text = (manual.HERE / "docs" / "writing-a-task.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n(.*?)```", text, re.S)
    assert block
    (tmp_path / "config.toml").write_text(block[1])
    assert settings.load(folder=str(tmp_path)).tasks["org.example.motd"]["owner"].value == "accounting"


@pytest.mark.parametrize("page", manual.pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, part = target.partition("#")
        other = page.parent / file if file else page
        assert other.exists(), f"{page.name} links to {target}"
        if part:
            assert part in _anchors(other.read_text(encoding="utf-8")), f"{page.name} links to {target}"


def _anchors(text: str) -> set[str]:
    """As GitHub makes them of headings"""
    titles = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
