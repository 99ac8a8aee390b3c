from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from helper_agent.api import Context, Skip, TaskError
from helper_agent.declaration import has_what_it_needs
from helper_agent.distros import base
from helper_agent.distros import cloud_init as facts
from helper_agent.tasks import cloud_init, host_keys, hostname, locale, network, password
from helper_kit import traps
from helper_kit import trees as kit
from tests.helper.distros import cloud, trees
from tests.helper.support import INSTANCE, Bench

USER = "#cloud-config\nruncmd: [echo canary]\n"
DATA = {"user_data": USER.encode()}
SEED = "/var/lib/cloud/seed/nocloud"
DISTROS = ("debian", "devuan", "ubuntu", "rocky", "fedora", "opensuse", "arch", "alpine")


def context(bench: Bench, options: Mapping[str, Any] | None = None, distro: str = "") -> Context:
    if not (bench.tree / "/etc/cloud").exists():
        cloud.install(kit.build(bench.tree, distro) if distro else trees.debian12(bench.tree))
    found = base.detect({"ID": distro}) if distro else trees.distro(bench.tree)
    return bench.context(cloud_init.TASK, DATA if options is None else options, distro=found)


@pytest.mark.parametrize("distro", DISTROS)
def test_a_seed_in_the_image(bench: Bench, distro: str) -> None:
    for _ in range(2):
        cloud_init.run(context(bench, distro=distro))
        tree = bench.tree
        assert json.loads(tree.text(f"{SEED}/meta-data")) == {
            "instance-id": INSTANCE.uuid,
            "local-hostname": INSTANCE.name,
        }
        assert tree.text(f"{SEED}/user-data") == USER
        assert sorted(path.name for path in (tree / SEED).iterdir()) == ["meta-data", "user-data"]
        assert {tree.mode(f"{SEED}/{name}") for name in ("meta-data", "user-data")} == {0o600}
        assert tree.mode(SEED) == 0o700
        pinned = tree.text("/etc/cloud/cloud.cfg.d/99-instance-helper-seed.cfg")
        assert "datasource_list: [NoCloud, None]\n" in pinned
        assert "policy: enabled\n" in tree.text("/etc/cloud/ds-identify.cfg")
        script = tree.text(f"{facts.PER_BOOT}/zz-instance-helper-scrub")
        assert script.startswith("#!/usr/bin/python3\n")
        assert tree.mode(f"{facts.PER_BOOT}/zz-instance-helper-scrub") == 0o755
        compile(script, "scrub", "exec")


def test_what_an_instance_left_in_the_image_is_gone(bench: Bench) -> None:
    cloud_init.run(context(bench))
    left = [path for path in bench.tree.names() if path.startswith("/var/lib/cloud/")]
    assert not [path for path in left if "instance" in path.replace("instance-helper", "") or "nocloud-net" in path]
    assert not (bench.tree / "/var/log/cloud-init.log").exists()


def test_vendor_data_meta_data_and_keys(bench: Bench) -> None:
    vendor = b"\x1f\x8b\x00binary"
    keys = ["ssh-ed25519 AAAA me"]
    meta = json.dumps({"rack": "a7", "local-hostname": "other", "instance-id": "mine"})
    cloud_init.run(context(bench, {"vendor_data": vendor, "meta_data": meta, "default_user_keys": keys}))
    assert (bench.tree / f"{SEED}/vendor-data").read_bytes() == b"\x1f\x8b\x00binary"
    assert bench.tree.text(f"{SEED}/user-data") == "", "a seed without user-data is none"
    found = json.loads(bench.tree.text(f"{SEED}/meta-data"))
    assert found == {"rack": "a7", "local-hostname": "other", "instance-id": INSTANCE.uuid}
    pinned = "/etc/cloud/cloud.cfg.d/99-instance-helper-keys.cfg"
    _, line = bench.tree.text(pinned).splitlines()
    assert json.loads(line) == {"system_info": {"default_user": {"ssh_authorized_keys": keys}}}
    assert bench.tree.mode(pinned) == 0o600
    cloud_init.run(context(bench))
    assert not (bench.tree / pinned).exists()


def test_a_seed_on_a_disk_leaves_the_identity_alone_in_the_image(bench: Bench) -> None:
    cloud_init.run(context(bench, {**DATA, "seed": "disk"}))
    assert [path.name for path in (bench.tree / SEED).iterdir()] == ["meta-data"]
    assert not (bench.tree / f"{SEED}/user-data").exists()


def test_switched_off(bench: Bench) -> None:
    cloud_init.run(context(bench, {"mode": "no"}))
    assert (bench.tree / facts.DISABLED).exists()
    assert not (bench.tree / SEED).exists()
    with pytest.raises(Skip, match="is disabled"):
        cloud_init.run(context(bench, {"mode": "no"}))


def test_yes_switches_on_what_is_switched_off_and_auto_does_not(bench: Bench) -> None:
    task = context(bench)
    bench.tree.put(facts.DISABLED, "")
    with pytest.raises(TaskError) as caught:
        cloud_init.run(task)
    assert "cloud_init=yes" in caught.value.remedy
    cloud_init.run(context(bench, {"mode": "yes"}))
    assert not (bench.tree / facts.DISABLED).exists()
    assert (bench.tree / f"{SEED}/user-data").exists()


@pytest.mark.parametrize("mode", ["", "yes"])
@pytest.mark.parametrize(
    ("lacking", "why"),
    [("/usr/bin/cloud-init", "not installed"), ("/etc/cloud/cloud.cfg", "not installed"),
     ("/usr/lib/systemd/system-generators/cloud-init-generator", "not started")],
)  # fmt: skip
def test_none_in_the_image(bench: Bench, mode: str, lacking: str, why: str) -> None:
    task = context(bench, {**DATA, "mode": mode})
    (bench.tree / lacking).unlink()
    before = bench.tree.names()
    with pytest.raises(TaskError, match=why) as caught:
        cloud_init.run(task)
    assert caught.value.code == "E-OPTION"
    assert "leave out user_data" in caught.value.remedy
    assert bench.tree.names() == before


def test_masked(bench: Bench) -> None:
    task = context(bench)
    bench.tree.link("/etc/systemd/system/cloud-init-local.service", "/dev/null")
    with pytest.raises(TaskError, match="masked"):
        cloud_init.run(task)


def test_nothing_asked_for() -> None:
    assert not has_what_it_needs(cloud_init.TASK, {})
    assert not has_what_it_needs(cloud_init.TASK, {"seed": "disk", "default_user_keys": ["x"]})


def test_the_interpreter_of_el8(bench: Bench) -> None:
    task = context(bench)
    bench.tree.put("/usr/bin/cloud-init", "#!/usr/libexec/platform-python -s\n", mode=0o755)
    cloud_init.run(task)
    script = bench.tree.text(f"{facts.PER_BOOT}/zz-instance-helper-scrub")
    assert script.startswith("#!/usr/libexec/platform-python\n")


@pytest.mark.parametrize(("version", "key"), [("v2", "ethernets"), ("v1", "config")])
def test_the_network_goes_into_the_seed(bench: Bench, version: str, key: str) -> None:
    cloud_init.run(context(bench))
    bench.tree.put("/etc/cloud/cloud.cfg.d/99-instance-helper-network.cfg", "network: {config: disabled}\n")
    before = bench.tree.text("/etc/network/interfaces")
    network.run(bench.context(network.TASK, {"cloud_network": version}, distro=trees.distro(bench.tree)))
    written = json.loads(bench.tree.text(f"{SEED}/network-config"))
    assert written["version"] == int(version[1])
    assert "192.0.2.10/24" in json.dumps(written[key])
    assert bench.tree.mode(f"{SEED}/network-config") == 0o600
    assert not (bench.tree / "/etc/cloud/cloud.cfg.d/99-instance-helper-network.cfg").exists()
    assert bench.tree.text("/etc/network/interfaces") == before


def test_the_network_beside_a_seed_on_a_disk(bench: Bench) -> None:
    cloud_init.run(context(bench, {**DATA, "seed": "disk"}))
    options = {"cloud_network": "v2", "cloud_seed": "disk"}
    network.run(bench.context(network.TASK, options, distro=trees.distro(bench.tree)))
    _, line = bench.tree.text("/etc/cloud/cloud.cfg.d/99-instance-helper-network.cfg").splitlines()
    assert line.startswith('network: {"version": 2, ')


def test_the_network_where_cloud_init_is_not_in_charge(bench: Bench) -> None:
    task = context(bench)
    (bench.tree / "/usr/bin/cloud-init").unlink()
    network.run(bench.context(network.TASK, {"cloud_network": "v2"}, distro=task.distro))
    assert bench.tree.text("/etc/cloud/cloud.cfg.d/99-instance-helper-network.cfg").endswith("{config: disabled}\n")
    assert not (bench.tree / SEED).exists()


def test_what_tasks_set_is_pinned(bench: Bench) -> None:
    distro = context(bench).distro
    hostname.run(bench.context(hostname.TASK, distro=distro))
    hashes = {"hashes": ["$6$salt$" + "a" * 86]}
    password.run(bench.context(password.TASK, {**hashes, "users": ["root", "debian"]}, distro=distro))
    locale.run(bench.context(locale.TASK, {"lang": "C.UTF-8"}, distro=distro))
    pair = {"private_keys": ["x"], "public_keys": ["ssh-ed25519 AAAA web1"]}
    host_keys.run(bench.context(host_keys.TASK, pair, distro=distro))
    pinned = "".join(bench.tree.text(path) for path in bench.tree.files() if "99-instance-helper" in path)
    for line in (
        "preserve_hostname: true",
        "system_info: {default_user: {lock_passwd: false}}",
        'locale: "false"',
        "ssh_deletekeys: false",
        "ssh_genkeytypes: [ed25519]",
    ):
        assert f"{line}\n" in pinned


def test_a_default_user_without_a_password_of_ours_stays_locked(bench: Bench) -> None:
    distro = context(bench).distro
    hashes = {"hashes": ["$6$salt$" + "a" * 86]}
    pinned = bench.tree / "/etc/cloud/cloud.cfg.d/99-instance-helper-password.cfg"
    for names, there in ((["debian"], True), (["root"], False)):
        password.run(bench.context(password.TASK, {**hashes, "users": names}, distro=distro))
        assert pinned.exists() is there


FILES = (
    "/usr/bin/cloud-init", "/etc/cloud/cloud.cfg", facts.DISABLED, facts.IDENTIFY,
    "/etc/cloud/cloud.cfg.d/99-instance-helper-seed.cfg", "/etc/cloud/cloud.cfg.d/99-instance-helper-keys.cfg",
    f"{SEED}/user-data", f"{SEED}/vendor-data", f"{SEED}/meta-data", "/var/lib/cloud/instance",
    "/var/lib/cloud/data/instance-id", "/var/log/cloud-init.log", f"{facts.PER_BOOT}/zz-instance-helper-scrub",
)  # fmt: skip
EVERYTHING = {**DATA, "mode": "yes", "vendor_data": DATA["user_data"], "default_user_keys": ["ssh-rsa AAAA"]}


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, trap: traps.Trap, path: str) -> None:
    task = context(bench, EVERYTHING)
    with traps.laid(trap, bench.tree, path, replaces=True), contextlib.suppress(TaskError, Skip):
        cloud_init.run(task)


@pytest.mark.parametrize("path", ["/etc/cloud", "/etc/cloud/cloud.cfg.d", "/var/lib/cloud", SEED, facts.PER_BOOT])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, trap: traps.Trap, path: str) -> None:
    task = context(bench, EVERYTHING)
    with traps.laid(trap, bench.tree, path, replaces=True), contextlib.suppress(TaskError, Skip):
        cloud_init.run(task)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_the_network_trapped(bench: Bench, trap: traps.Trap, version: str) -> None:
    task = context(bench)
    mine = bench.context(network.TASK, {"cloud_network": version}, distro=task.distro)
    traps.spring(trap, bench.tree, f"{SEED}/network-config", lambda: network.run(mine))
