from __future__ import annotations

import pytest

from helper_host.ganeti import boot_values, options
from helper_host.ganeti.parameters import Parameters, parse_values
from helper_host.ganeti.values import Invalid


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("net.ifnames=0", ("net.ifnames=0",)),
        ("+a=b  -quiet\tconsole=ttyS0,115200n8", ("+a=b", "-quiet", "console=ttyS0,115200n8")),
        ("memmap=4G!12G crashkernel=1G-4G:192M,4G-64G:256M", ("memmap=4G!12G", "crashkernel=1G-4G:192M,4G-64G:256M")),
    ],
)
def test_arguments(text: str, words: tuple[str, ...]) -> None:
    assert boot_values.kernel_args(text) == words


@pytest.mark.parametrize(
    "text", ["a;b", "a=$x", 'a="b c"', "a='b'", "`id`", "a\\b", "a=ä", "--", "-", "+", "#a", "a>b", "a|b", "{a}", "a&b"]
)
def test_no_arguments(text: str) -> None:
    with pytest.raises(Invalid, match="which boot loaders' files can't take"):
        boot_values.kernel_args(text)


@pytest.mark.parametrize(
    ("text", "port"),
    [("yes", "auto"), ("no", ""), ("ttyS0", "ttyS0"), ("ttyS1,9600", "ttyS1,9600"), ("hvc0", "hvc0"),
     ("ttyS0 115200n8", "ttyS0,115200n8"), ("ttyS0:115200", "ttyS0,115200")],
)  # fmt: skip
def test_ports(text: str, port: str) -> None:
    assert boot_values.serial_console(text) == port


@pytest.mark.parametrize(
    "text", ["tty0", "ttyS0,", "ttyS0,1", "console=ttyS0", "/dev/ttyS0", "ttyS0;reboot", "hvc", "ttyS\u0663"]
)
def test_no_ports(text: str) -> None:
    with pytest.raises(Invalid, match="is no serial console"):
        boot_values.serial_console(text)


def made(**given: str) -> dict[str, dict[str, object]]:
    wanted = ("serial-console", "kernel-arguments", "grub-config", "new-uuids", "follow-uuids")
    return options.task_options(parse_values(given), wanted=wanted).options


def test_options() -> None:
    assert made() == {}
    assert made(serial_console="yes", kernel_args="a -b", regenerate_grub="yes") == {
        "serial-console": {"port": "auto"},
        "kernel-arguments": {"words": ["a", "-b"]},
        "grub-config": {"wanted": True},
    }
    first, second = made(new_uuids="yes"), made(new_uuids="yes")
    assert first["new-uuids"] == first["follow-uuids"] and len(str(first["new-uuids"]["seed"])) == 36
    assert first != second
    assert made(new_uuids="no", serial_console="no") == {}


def test_new_uuids_by_both_tasks_or_none() -> None:
    given = parse_values({"new_uuids": "yes"})
    assert options.task_options(given, wanted=("new-uuids",)).options == {}
    assert options.task_options(given, wanted=("follow-uuids", "hostname")).options == {}


def test_every_option_is_declared() -> None:
    from helper_agent.tasks import follow_uuids, grub_config, kernel_arguments, new_uuids, serial_console

    modules = (follow_uuids, grub_config, kernel_arguments, new_uuids, serial_console)
    declared = {f"{one.TASK.name}.{option.name}" for one in modules for option in one.TASK.options}
    names = ("serial_console", "kernel_args", "regenerate_grub", "new_uuids")
    assert {each for name in names for each in Parameters.rows[name].sets} == declared
