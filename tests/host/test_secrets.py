"""Secrets of a whole `create` are nowhere but in the job: not after success, not after a fault, not while it runs"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host import deploying, spy, web
from tests.host.deploying import Bench, wait_for
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

CANARY = "canary-d81f"
TASK = """#!/bin/sh
# /// task
# api = 1
# heading = "Take a secret"
# [options.token]
# kind = "str"
# help = "shown to the server"
# secret = true
# [options.port]
# kind = "int"
# help = "where it listens"
# ///
"""
SCRIPT = f"#!/bin/sh\necho {CANARY}\n".encode()
CODED = base64.b64encode(SCRIPT).decode()
FORMS = (CANARY.encode(), CODED.encode(), base64.b64encode(CANARY.encode()))

GOOD = fake_qemu.good()
FAULTS: dict[str, list[Any]] = {
    "success": GOOD,
    "a task fails": fake_qemu.failing("hostname"),
    "no hello": [["exit", 0]],
    "floods": [fake_qemu.HELLO, ["wait-go"], ["flood", 8 << 20], ["hang"]],
    "lies": [fake_qemu.HELLO, ["wait-go"], ["raw", "{]\n"], ["hang"]],
    "dies": [fake_qemu.HELLO, ["wait-go"], ["signal", 11]],
}


class Node(Bench):
    """A bench with everything that can hold a secret"""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        tasks = folder / "settings" / "tasks.d"
        tasks.mkdir(parents=True)
        (tasks / "org.example.join.sh").write_text(TASK)
        hooks = folder / "hooks"
        hooks.mkdir()
        (hooks / "show").write_text("#!/bin/sh\nenv\n")
        (hooks / "show").chmod(0o755)
        self.trace = folder / "trace"
        self.prelude = spy.prelude(self.trace) + deploying.SCRIPTED
        self.settings |= {"node_hooks": str(hooks), "verbose": True}
        self.parameters = {
            "image": str(self.image),
            "password": CANARY,
            "luks_key": CANARY,
            "task_secrets": f"org.example.join.token='{CANARY} in words'",
            "task_options": "org.example.join.port=4711",
            "custom_task": CODED,
            "root_password": f"{CANARY} of root",
            "first_boot": f"echo {CANARY}",
            "user_data": f"#cloud-config\npassword: {CANARY}\n",
            "vendor_data": f"#!/bin/sh\necho {CANARY} of the vendor\n",
            "file0": f"/etc/app.key:0600={CANARY}",
            "file1": f"/etc/app.key2=base64:{CODED}",
            "img_personality": json.dumps([{"path": "/etc/app.key3", "contents": CODED}]),
        }

    def places(self) -> list[Path]:
        """Every file of the node; not the disk, where the image's own secrets are"""
        return [
            path
            for path in self.folder.rglob("*")
            if path.is_file() and path not in (self.disk, self.image, self.trace)
        ]

    def check(self, log: str) -> None:
        for form in FORMS:
            assert form.decode() not in log
            for path in self.places():
                assert form not in path.read_bytes(), path
            for program in spy.programs(self.trace):
                assert not [text for text in (*program.arguments, *program.environment) if form in text]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with deploying.checked(Node(tmp_path)) as node:
        yield node


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_run(node: Node, fault: str) -> None:
    ended = node.create(FAULTS[fault])
    assert (ended.code == 0) == (fault == "success"), ended.log
    assert any(b"-sandbox" in program.arguments for program in spy.programs(node.trace))
    assert ("hook show" in ended.log) == (fault == "success")
    node.check(ended.log)


def test_while_it_runs(node: Node) -> None:
    process = node.start([fake_qemu.HELLO, ["wait-go"], ["write", 0, 9 << 20, "mark"], ["hang"]])
    assert wait_for(lambda: b"mark" in node.disk.read_bytes())
    told = f"{process.pid}"
    for name in filter(str.isdigit, os.listdir("/proc")):
        for part in ("cmdline", "environ"):
            try:
                content = Path(f"/proc/{name}/{part}").read_bytes()
            except OSError:
                continue
            # Ganeti gives them to create itself, and a guard is its fork
            mine = name == told or f"\nPPid:\t{told}\n" in Path(f"/proc/{name}/status").read_text()
            if part == "environ" and mine and b"INSTANCE_NAME=" in content:
                continue
            assert not [form for form in FORMS if form in content], f"{name} {part}"
    process.terminate()
    node.check(node.finish(process, time.monotonic()).log)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_secrets", f"org.example.join.tokem={CANARY}"),
        ("task_secrets", f"org.example.other.token={CANARY}"),
        ("task_secrets", f"org.example.join.token='{CANARY}"),
        ("task_secrets", f"{CANARY}"),
        ("task_secrets", f"org.example.join.port={CANARY}"),
        ("custom_task", f"#!/bin/sh {CANARY}"),
        ("custom_task", base64.b64encode(f"import {CANARY}".encode()).decode()),
        ("custom_task", f"https://me:{CANARY}@127.0.0.1:1/x?key={CANARY}#sha256:{'0' * 64}"),
        ("custom_task", f"http://me:{CANARY}@127.0.0.1:1/x?key={CANARY}#sha256:{'0' * 64}"),
        ("password", f"{CANARY}\n"),
        ("file0", f"etc/app.key={CANARY}"),
        ("file0", f"/etc/app.key:rw={CANARY}"),
        ("img_personality", json.dumps([{"path": CANARY}])),
        ("password_hash", CANARY),
        ("first_boot", f"{CANARY}\x1b"),
        ("first_boot_url", f"https://me:{CANARY}@127.0.0.1:1/x?key={CANARY}"),
        ("ssh_keys_url", f"https://me:{CANARY}@127.0.0.1:1/x?key={CANARY}"),
        ("ssh_keys_url", f"http://{CANARY} x"),
        ("ssh_keys", f"ssh-ed25519 {CANARY}"),
        ("img_properties", json.dumps({"CUSTOM_TASK": CANARY})),
        ("img_properties", json.dumps({"CUSTOM_TASK": CANARY})[:-2]),
    ],
)
def test_what_is_refused(node: Node, name: str, value: str) -> None:
    node.parameters = {"image": str(node.image), name: value}
    ended = node.create(GOOD)
    assert ended.code == 1, ended.log
    assert "Traceback" not in ended.log
    assert node.is_old()
    node.check(ended.log)


# --- a custom task from elsewhere ------------------------------------------------------------------------------------


@pytest.fixture
def server(node: Node) -> Iterator[web.Server]:
    with web.serving(node.folder / "server") as server:
        server.answers[f"/task?key={CANARY}"] = web.content(b"#!/bin/sh\n")
        node.settings["ca_file"] = str(server.ca_file)
        yield server


def url(server: web.Server, digest: str) -> str:
    return f"https://me:{CANARY}@{web.HOST}:{server.port}/task?key={CANARY}#sha256:{digest}"


def test_a_custom_task_that_is_fetched(node: Node, server: web.Server) -> None:
    node.parameters["custom_task"] = url(server, hashlib.sha256(b"#!/bin/sh\n").hexdigest())
    ended = node.create(GOOD)
    assert ended.code == 0, ended.log
    assert len(server.calls) == 1
    assert f"custom task custom from https://{web.HOST}:{server.port}/task?...: 10 bytes" in ended.log
    node.check(ended.log)


def test_a_custom_task_that_was_changed_on_its_server(node: Node, server: web.Server) -> None:
    node.parameters["custom_task"] = url(server, "0" * 64)
    ended = node.create(GOOD)
    assert ended.last.startswith("E-CUSTOM-TASK: The custom task https://127.0.0.1:"), ended.log
    assert node.is_old()
    node.check(ended.log)


@pytest.mark.timed
def test_a_server_that_hangs_does_not_keep_a_signal_from_ending_it(node: Node, server: web.Server) -> None:
    server.answers[f"/task?key={CANARY}"] = web.stalling(server, b"")
    node.parameters["custom_task"] = url(server, "0" * 64)
    process = node.start(GOOD)
    assert wait_for(lambda: server.calls)
    since = time.monotonic()
    process.terminate()
    ended = node.finish(process, since)
    assert ended.last.startswith("E-INTERRUPTED"), ended.log
    assert ended.seconds < 1.5
    assert node.is_old()
    node.check(ended.log)


def test_what_the_properties_hold(node: Node) -> None:
    node.parameters.pop("custom_task")
    node.parameters["img_properties"] = json.dumps({"CUSTOM_TASK": CODED})
    ended = node.create(GOOD)
    assert ended.code == 0, ended.log
    node.check(ended.log)
