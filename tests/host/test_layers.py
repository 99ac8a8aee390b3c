"""Which value of a task's option wins"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from helper_agent.declaration import Option, Task
from helper_host import layers
from helper_host.errors import ProviderError
from helper_host.ganeti.options import Options
from helper_host.ganeti.parameters import Parameters, parse
from helper_host.layers import Layers
from helper_host.setting_tables import Given
from helper_host.tasks import Known, Tasks

MOTD = Task(
    "org.example.motd",
    "filesystems",
    options=(
        Option("owner", "str", "Domain"),
        Option("lines", "int", "most lines"),
        Option("users", "list", "whom to greet"),
        Option("token", "str", "what to show", secret=True),
    ),
)
HOSTNAME = Task("hostname", "filesystems", options=(Option("name", "str", "the name"),))
SWAP = Task(
    "swap", "filesystems", options=(Option("file_mib", "int", "size"), Option("partition_uuid", "str", "the partition"))
)
TASKS = Tasks(tuple(Known(task, "x", "", "", "python") for task in (HOSTNAME, MOTD, SWAP)))


def given(parameters: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> Parameters:
    return parse({f"OSP_{name.upper()}": value for name, value in parameters.items()}, defaults)


def above(parameters: Parameters) -> tuple[Options, frozenset[str], list[str]]:
    warnings: list[str] = []
    return *layers.from_parameters(parameters, TASKS, warnings.append), warnings


def merged(*, wanted: tuple[str, ...] = TASKS.names, made: Options | None = None, **parts: Any) -> Options:
    whole = {"above": {}, "below": {}, "users": (), "described_users": (), **parts}
    return layers.merged(Layers(**whole), made or {}, TASKS, wanted)


def test_public_and_secret_options_come_together() -> None:
    options, overridden, warnings = above(
        given({"task_options": "org.example.motd.owner=a", "task_secrets": "org.example.motd.token=canary"})
    )
    assert options == {"org.example.motd": {"owner": "a", "token": "canary"}}
    assert (overridden, warnings) == (frozenset(), [])


def test_a_secret_that_is_public_is_a_warning() -> None:
    options, _, warnings = above(given({"task_options": "org.example.motd.token=canary"}))
    assert options == {"org.example.motd": {"token": "canary"}}
    assert len(warnings) == 1
    assert "org.example.motd.token is a secret: give it in task_secrets" in warnings[0]
    assert "canary" not in warnings[0]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (
            {"task_options": "org.example.motd.owner=a", "task_secrets": "org.example.motd.owner=b"},
            "'task_options': sets org.example.motd.owner, which 'task_secrets' sets too",
        ),
        (
            {"task_options": "hostname.name=a", "hostname": "b"},
            "'task_options': sets hostname.name, which 'hostname' sets too; give one of them",
        ),
        ({"task_secrets": "hostname.name=a", "hostname": "b"}, "'task_secrets': sets hostname.name"),
        ({"task_options": "swap.file_mib=1", "swap": "partition:2"}, "which 'swap' sets too"),
        ({"task_options": "org.example.mot.owner=a"}, "did you mean org.example.motd?"),
    ],
)
def test_an_option_has_one_way_to_be_set(parameters: Mapping[str, str], words: str) -> None:
    with pytest.raises(ProviderError, match="E-PARAMETER") as caught:
        above(given(parameters))
    assert words in str(caught.value)


def test_what_the_user_gives_overrides_a_default_of_the_settings_either_way() -> None:
    options, overridden, _ = above(given({"task_options": "hostname.name=a"}, {"hostname": "b"}))
    assert options == {"hostname": {"name": "a"}}
    assert overridden == {"hostname"}
    options, overridden, _ = above(given({"hostname": "b"}, {"task_options": "hostname.name=a swap.file_mib=1"}))
    assert options == {"hostname": {}, "swap": {"file_mib": 1}}
    assert overridden == frozenset()
    # all that a parameter sets goes, not the one option alone
    _, overridden, _ = above(given({"task_options": "swap.file_mib=1"}, {"swap": "partition:2"}))
    assert overridden == {"swap"}


def test_settings_are_typed_by_their_tasks() -> None:
    table = {"org.example.motd": {"owner": Given("a", "/x/config.toml"), "lines": Given(3, "/x/big.toml")}}
    assert layers.from_settings(table, TASKS) == {"org.example.motd": {"owner": "a", "lines": 3}}


@pytest.mark.parametrize(
    ("task", "option", "value", "words"),
    [
        (
            "org.example.mot",
            "owner",
            "a",
            "of a task that is not there: org.example.mot; did you mean org.example.motd?",
        ),
        ("org.example.motd", "ownr", "a", "The task org.example.motd has no option 'ownr'"),
        ("org.example.motd", "lines", "3", "takes a whole number, not '3'"),
        ("org.example.motd", "lines", True, "takes a whole number, not True"),
        ("org.example.motd", "token", 1, "takes text; what to show"),
    ],
)
def test_what_is_wrong_in_the_settings_is_said_with_the_file(task: str, option: str, value: object, words: str) -> None:
    with pytest.raises(ProviderError, match="E-SETTINGS") as caught:
        layers.from_settings({task: {option: Given(value, "/x/config.toml")}}, TASKS)
    assert "/x/config.toml" in str(caught.value)
    assert words in str(caught.value)


def test_the_strongest_wins_option_by_option() -> None:
    assert merged(
        above={"org.example.motd": {"owner": "above"}},
        made={"hostname": {"name": "made"}, "org.example.motd": {"owner": "made"}},
        below={"org.example.motd": {"owner": "below", "lines": 1}, "hostname": {"name": "below"}},
    ) == {"hostname": {"name": "made"}, "org.example.motd": {"owner": "above", "lines": 1}}


def test_tasks_that_are_not_run_get_nothing() -> None:
    assert merged(above={"hostname": {"name": "a"}, "swap": {"file_mib": 1}}, wanted=("swap",)) == {
        "swap": {"file_mib": 1}
    }


def test_users_fill_every_task_that_takes_them() -> None:
    name = "org.example.motd"
    described: dict[str, Any] = {"described_users": ("debian",)}
    assert merged(**described) == {name: {"users": ["debian"]}}
    assert merged(**described, users=("me",)) == {name: {"users": ["me"]}}
    assert merged(**described, below={name: {"users": ["them"]}}) == {name: {"users": ["them"]}}
    assert merged(users=("me",), below={name: {"users": ["them"]}}) == {name: {"users": ["me"]}}
    assert merged(users=("me",), above={name: {"users": ["us"]}}) == {name: {"users": ["us"]}}
    assert merged() == {}


def test_values_are_not_in_the_representation() -> None:
    shown = repr(Layers({"a.b": {"token": "canary"}}, {"c.d": {"token": "canary"}}, (), ()))
    assert shown == "Layers(a.b, c.d)"
