"""No OS parameter's value reaches the arguments or the environment of any program, and none runs through a shell"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_host.ganeti.parameters import Parameters
from tests import calling
from tests.host import deploying, spy
from tests.host.deploying import Bench
from tests.host.signing import PUBLISHER, Keys
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

NEEDLE = "needle4711"
"""In every value that can have it."""
CLOSED = {
    "image_format": "raw",
    "os_family": "linux",
    "root_partition": "77",
    "partition": "no",
    "swap": "file:7",
    "image_description": "no",
    "cleanup": "full",
    "skip_tasks": "machine-id",
    "create_users": "yes",
    "lock_root": "no",
    "ssh_password_login": "no",
    "locale": "de_DE.UTF-8",
    "make_locale": "yes",
    "network_renderer": "networkmanager",
    "default_nic": "slaac",
    "resize": "177",
    "serial_console": "ttyS1,57600",
    "regenerate_grub": "no",
    "new_uuids": "yes",
    "cloud_init": "yes",
    "cloud_seed": "image",
    "cloud_network": "v1",
}
"""Values of a fixed set or numbers: nothing of a user's own wording can be in them."""
SIGNATURE = f"{NEEDLE}.sig"
CONFIGURATION = f"{NEEDLE}.json"
KEYS, DATA = f"{NEEDLE}.keys", f"{NEEDLE}.yaml"
TASK = """#!/bin/sh
# /// task
# api = 1
# heading = "Take a text"
# [options.text]
# kind = "str"
# help = "any"
# [options.token]
# kind = "str"
# help = "any"
# secret = true
# ///
"""
HOSTILE = st.text("$();'\"\\|&<>*?~{}[]#!-%=, `abc/äß", max_size=20)


def values(image: Path, rough: str) -> dict[str, str]:
    """A valid value for every parameter, with the needle where it can be, and `rough` where any text goes"""
    script = base64.b64encode(f"#!/bin/sh\n# {NEEDLE}{rough}\n".encode()).decode()
    return {
        "image": str(image),
        "image_checksum": f"sha256:{hashlib.sha256(image.read_bytes()).hexdigest()}",
        "image_signature": SIGNATURE,
        "config_url": f"file://{image.parent}/{CONFIGURATION}",
        "users": f"root {NEEDLE}",
        "password": f"{NEEDLE}{rough}",
        "ssh_keys": f"{calling.KEY.rpartition(' ')[0]} {NEEDLE}{rough}",
        "hostname": f"{NEEDLE}.example.org",
        "dns_servers": "198.51.100.53",
        **{f"nic{number}": f"static 2001:db8::4711:{number}/64 mtu=4711" for number in range(8)},
        "root_password": f"{NEEDLE}{rough}",
        "sudo": NEEDLE,
        "ssh_keys_url": f"file://{image.parent}/{KEYS}",
        "hosts": f"192.0.2.7 {NEEDLE}.example.org",
        "timezone": f"Europe/{NEEDLE}",
        "keyboard": f"{NEEDLE[:6]}",
        "first_boot": f"#!/bin/sh\n# {NEEDLE}{rough}\n",
        "luks_key": f"{NEEDLE}{rough}",
        "kernel_args": f"{NEEDLE}=1",
        "user_data": f"#cloud-config\n# {NEEDLE}{rough}\n",
        "user_data_url": f"file://{image.parent}/{DATA}",
        "vendor_data": f"#cloud-config\n# {NEEDLE}{rough}\n",
        "vendor_data_url": f"file://{image.parent}/{DATA}",
        "meta_data": json.dumps({NEEDLE: rough}),
        "dns_search": f"{NEEDLE}.example.org",
        "task_options": f"org.example.text.text={shlex.quote(NEEDLE + rough)}",
        "task_secrets": f"org.example.text.token={shlex.quote(NEEDLE + rough)}",
        "custom_task": script,
        "overlay": NEEDLE,
        "data_disks": f"1:/srv/{NEEDLE}:ext4",
        "img_personality": json.dumps([{"path": f"/srv/{NEEDLE}", "contents": script}]),
        "file0": f"/srv/{NEEDLE}=@{NEEDLE}",
        **{f"file{number}": f"/srv/{NEEDLE}{number}=x{NEEDLE}{rough}" for number in range(1, 10)},
        "img_properties": json.dumps({"DESCRIPTION": NEEDLE + rough, "SORTORDER": NEEDLE}),
        "inst_properties": json.dumps({NEEDLE: rough}),
    }


@pytest.fixture
def bench(tmp_path: Path, keys: Keys) -> Iterator[Bench]:
    with deploying.checked(Bench(tmp_path)) as bench:
        bench.settings["keyrings"] = str(keys.keyrings(tmp_path / "keyrings", PUBLISHER))
        (bench.image.parent / CONFIGURATION).write_text("{}")
        (bench.image.parent / KEYS).write_text(f"{calling.KEY}\n")
        (bench.image.parent / DATA).write_text("#cloud-config\n{}\n")
        (bench.image.parent / SIGNATURE).write_bytes(keys.sign(bench.image.read_bytes()))
        tasks = tmp_path / "settings" / "tasks.d"
        tasks.mkdir(parents=True)
        (tasks / "org.example.text.sh").write_text(TASK)
        (tmp_path / "overlays" / NEEDLE / "etc").mkdir(parents=True)
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / NEEDLE).write_text(NEEDLE)
        bench.settings |= {"overlay_folder": str(tmp_path / "overlays"), "files_folder": str(tmp_path / "files")}
        (tmp_path / "data").write_bytes(bytes(1 << 20))
        bench.more_disks = [calling.Disk(str(tmp_path / "data"), 1 << 20)]
        yield bench


def watched(bench: Bench, given: dict[str, str]) -> list[spy.Program]:
    """The programs that a create with these parameters runs, from the second one: the first is the spy"""
    trace = bench.folder / "trace"
    bench.parameters = given
    bench.prelude = spy.prelude(trace) + deploying.SCRIPTED
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    return spy.programs(trace)


def test_every_parameter_is_tried(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"")
    others = {name for name, row in Parameters.rows.items() if any(each in values(image, "") for each in row.exclusive)}
    assert set(Parameters.rows) == {*CLOSED, *values(image, ""), *others}, "a new parameter: add a value for it"


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rough=HOSTILE)
def test_no_value_is_in_an_argument_or_an_environment(bench: Bench, rough: str) -> None:
    name = "".join(f"{NEEDLE}{rough}".split("/")) + ".raw"
    image = bench.image.rename(bench.image.parent / name)
    bench.image = image
    given = {**CLOSED, **values(image, rough)}
    seen = watched(bench, given)
    assert any(b"-sandbox" in program.arguments for program in seen), "QEMU was seen"
    spied = [text for program in seen for text in (*program.arguments, *program.environment)]
    assert not [text for text in spied if NEEDLE.encode() in text]
    for name, value in given.items():
        if len(value) >= 4 and name not in ("os_family",):
            assert not [text for text in spied if value.encode() in text], name
    assert not [text for text in spied if text.startswith(b"OSP_")]


def test_nothing_runs_through_a_shell(bench: Bench) -> None:
    for program in watched(bench, values(bench.image, "")):
        assert program.arguments[0].rpartition(b"/")[2] not in (b"sh", b"bash", b"dash", b"env", b"xargs")
        assert not {b"-c", b"--login"} & set(program.arguments[:3]), program.arguments


def test_the_spy_sees_arguments_and_environments(bench: Bench) -> None:
    """Without it the others would hold for nothing"""
    hooks = bench.folder / "hooks"
    hooks.mkdir()
    (hooks / "a").write_text(f'#!/bin/sh\nB="{NEEDLE} x" env "$OSP_HOSTNAME" 2>&1; exit 0\n')
    (hooks / "a").chmod(0o755)
    bench.settings["node_hooks"] = str(hooks)
    seen = watched(bench, {"image": str(bench.image), "hostname": "www"})
    assert any(program.arguments == (b"env", b"www") for program in seen)
    assert any(f"B={NEEDLE} x".encode() in program.environment for program in seen)
