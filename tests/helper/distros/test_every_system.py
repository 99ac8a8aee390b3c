"""Every system of the authors' kit: what is known of it, and what each task makes of it"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pytest

from helper_agent.api import Skip, Task, TaskError
from helper_agent.distros import base
from helper_agent.distros.base import Distro
from helper_agent.init import base as init
from helper_agent.net import renderers
from helper_agent.release import read
from helper_agent.tasks import host_keys, hostname, keyboard, locale, machine_id, network, password, ssh_keys, timezone
from helper_kit import trees
from helper_kit.trees.nixos import USERS
from tests.helper.support import Bench, Tree

SHORT, WHOLE = "web1\n", "web1.example.org\n"
SHA512, YESCRYPT, BCRYPT = "$6$a$b", "$y$j9T$a$b", "$2b$12$a"
LIBXCRYPT, GLIBC, MUSL = (SHA512, YESCRYPT), (SHA512,), (SHA512, BCRYPT)
KEY = "ssh-ed25519 AAAA me@desk"


class Known(NamedTuple):
    """What is expected of one tree"""

    kind: str
    id: str
    version: str
    init: str
    service: str
    """sshd's."""
    hostname: Mapping[str, str]
    """Files of the hostname as they are afterwards."""
    own: str
    """Address of the own line in hosts, "" for none."""
    renderers: tuple[str, ...]
    """The first two."""
    hashes: tuple[str, ...]
    """Those of three that its crypt(3) knows."""
    key_mode: int = 0o600
    key_group: int = 0
    admins: str = "wheel"
    zone: str = ""
    locale: str = "/etc/locale.conf"
    keyboard: str = "/etc/vconsole.conf"


REDHAT = Known(
    "RedHat", "", "", "systemd", "sshd", {"/etc/hostname": WHOLE}, "", ("networkmanager", "networkd"), LIBXCRYPT
)
WITH_GROUP = REDHAT._replace(key_mode=0o640, key_group=999)
IFCFG = ("ifcfg", "networkmanager")
DEBIAN = Known(
    "Debian", "debian", "12", "systemd", "ssh", {"/etc/hostname": SHORT}, "127.0.1.1", ("netplan", "networkd"),
    LIBXCRYPT, admins="sudo", zone="/etc/timezone", locale="/etc/default/locale", keyboard="/etc/default/keyboard",
)  # fmt: skip
SUSE = Known(
    "Sles", "sles", "15.6", "systemd", "sshd", {"/etc/hostname": WHOLE}, "127.0.0.2", ("wicked", "networkmanager"),
    LIBXCRYPT,
)  # fmt: skip
ARCH = Known(
    "Arch", "arch", "", "systemd", "sshd", {"/etc/hostname": SHORT}, "127.0.1.1", ("networkd", "networkmanager"),
    LIBXCRYPT,
)  # fmt: skip
VOID = ARCH._replace(
    kind="Void", id="void", init="runit", renderers=("dhcpcd", "networkmanager"), zone="/etc/rc.conf",
    keyboard="/etc/rc.conf",
)  # fmt: skip

KNOWN: Mapping[str, Known] = {
    "alma": WITH_GROUP._replace(kind="Alma", id="almalinux", version="9.4"),
    "alpine": Known(
        "Alpine", "alpine", "3.20.3", "OpenRC", "sshd", {"/etc/hostname": SHORT}, "127.0.1.1",
        ("alpine", "networkmanager"), MUSL, locale="/etc/profile.d/zz-lang.sh", keyboard="/etc/conf.d/loadkmap",
    ),
    "amazon": WITH_GROUP._replace(
        kind="Amazon", id="amzn", version="2023", renderers=("networkd", "networkmanager")
    ),
    "amazon-2": WITH_GROUP._replace(
        kind="Amazon", id="amzn", version="2", renderers=("ifcfg", "networkd"), hashes=GLIBC,
        zone="/etc/sysconfig/clock",
    ),
    "arch": ARCH,
    "artix": ARCH._replace(
        kind="Artix", id="artix", init="OpenRC", renderers=("networkmanager", "dhcpcd"), keyboard="/etc/conf.d/keymaps",
        hostname={"/etc/conf.d/hostname": 'hostname="web1"\n', "/etc/hostname": SHORT},
    ),
    "centos-6": REDHAT._replace(
        kind="CentOS", id="centos", version="6.10", init="SysV init", own="127.0.1.1", renderers=("ifcfg",),
        hostname={"/etc/sysconfig/network": 'NETWORKING=yes\nHOSTNAME="web1.example.org"\nNOZEROCONF=yes\n'},
        hashes=GLIBC, zone="/etc/sysconfig/clock", locale="/etc/sysconfig/i18n", keyboard="/etc/sysconfig/keyboard",
    ),
    "centos-7": WITH_GROUP._replace(kind="CentOS", id="centos", version="7", renderers=IFCFG, hashes=GLIBC),
    "coreos": REDHAT._replace(kind="CoreOS", id="fedora", version="40", renderers=("networkmanager",)),
    "debian": DEBIAN,
    "devuan": DEBIAN._replace(
        kind="Devuan", id="devuan", version="5", init="SysV init", renderers=("ifupdown", "networkmanager")
    ),
    "fedora": REDHAT._replace(kind="Fedora", id="fedora", version="40"),
    "flatcar": ARCH._replace(
        kind="Flatcar", id="flatcar", version="3815.2.0", renderers=("networkd",), admins="sudo"
    ),
    "gentoo": Known(
        "Gentoo", "gentoo", "2.15", "OpenRC", "sshd",
        {"/etc/conf.d/hostname": '# Set to the hostname of this machine\nhostname="web1"\n'}, "127.0.1.1",
        ("netifrc", "networkd"), LIBXCRYPT, zone="/etc/timezone", locale="/etc/env.d/02locale",
        keyboard="/etc/conf.d/keymaps",
    ),
    "gentoo-systemd": ARCH._replace(
        kind="Gentoo", id="gentoo", version="2.15", renderers=("netifrc", "networkd"), zone="/etc/timezone"
    ),
    "guix": Known("Guix", "guix", "", "an init that is not known here", "sshd", {}, "", (), GLIBC),
    "nixos": Known("NixOS", "nixos", "24.05", "an init that is not known here", "sshd", {}, "", (), GLIBC),
    "opensuse": SUSE._replace(kind="OpenSuse", id="opensuse-leap"),
    "opensuse-tumbleweed": SUSE._replace(
        kind="OpenSuse", id="opensuse-tumbleweed", version="20240612", renderers=("networkmanager", "wicked")
    ),
    "oracle": WITH_GROUP._replace(kind="Oracle", id="ol", version="8.10", renderers=IFCFG),
    "rocky": WITH_GROUP._replace(kind="Rocky", id="rocky", version="9.4"),
    "rocky-8": WITH_GROUP._replace(kind="Rocky", id="rocky", version="8.10", renderers=IFCFG),
    "rocky-10": REDHAT._replace(kind="Rocky", id="rocky", version="10.0"),
    "slackware": Known(
        "Slackware", "slackware", "15.0", "Slackware's rc scripts", "sshd", {"/etc/HOSTNAME": WHOLE}, "127.0.1.1",
        ("slackware", "networkmanager"), GLIBC, locale="/etc/profile.d/lang.sh", keyboard="/etc/rc.d/rc.keymap",
    ),
    "sles": SUSE,
    "sles-11": SUSE._replace(
        version="11.4", init="SysV init", hostname={"/etc/HOSTNAME": WHOLE}, hashes=GLIBC, zone="/etc/sysconfig/clock",
        locale="/etc/sysconfig/language", keyboard="/etc/sysconfig/keyboard",
    ),
    "ubuntu": DEBIAN._replace(kind="Ubuntu", id="ubuntu", version="24.04"),
    "void": VOID,
    "void-musl": VOID._replace(hashes=MUSL),
}  # fmt: skip


@pytest.fixture(params=trees.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each of them"""
    return str(request.param)


@pytest.fixture
def known(name: str) -> Known:
    """What is expected of it"""
    return KNOWN[name]


@pytest.fixture
def distro(name: str, tree: Tree) -> Distro:
    """What it is taken for"""
    root = trees.build(tree, name).root()
    return base.detect(read(root), root)


def test_facts(known: Known, distro: Distro, tree: Tree) -> None:
    root = tree.root()
    assert (type(distro).__name__, distro.id, distro.version) == (known.kind, known.id, known.version)
    assert distro.known
    assert known.init == init.of(root).NAME
    assert distro.sshd_services[0] == known.service
    assert distro.own_address == known.own
    assert distro.renderers[:2] == known.renderers
    assert set(distro.renderers) <= {
        "netplan", "networkmanager", "networkd", "ifupdown", "ifcfg", "wicked", "alpine", "netifrc", "dhcpcd",
        "slackware",
    }  # fmt: skip
    assert tuple(each for each in (SHA512, YESCRYPT, BCRYPT) if distro.verifies(root, each)) == known.hashes
    assert distro.admin_groups[0] == known.admins
    assert (*distro.zone_files, distro.zone_key[0])[0] == known.zone
    assert distro.locale_files[0] == known.locale
    assert distro.keyboard_files[0] == known.keyboard


def test_sshds_service_is_there(distro: Distro, tree: Tree) -> None:
    root = tree.root()
    names = [*distro.sshd_services, *(f"{each}.socket" for each in distro.sshd_services)]
    if distro.immutable:
        assert not any(init.of(root).installed(root, each) for each in names)
        return
    assert any(init.of(root).is_enabled(root, each) for each in names)


def _run(bench: Bench, distro: Distro, module: object, options: Mapping[str, object] | None = None) -> bool:
    """Run a task twice, the second time without effect; whether it did anything"""
    task: Task = module.TASK  # type: ignore[attr-defined]
    try:
        module.run(bench.context(task, options, distro=distro))  # type: ignore[attr-defined]
        first = bench.tree.files()
        module.run(bench.context(task, options, distro=distro))  # type: ignore[attr-defined]
    except Skip:
        return False
    assert bench.tree.files() == first
    return True


def test_hostname(known: Known, distro: Distro, bench: Bench) -> None:
    before = bench.tree.files()
    assert _run(bench, distro, hostname, {"name": "web1.example.org"}) is bool(known.hostname)
    if not known.hostname:
        assert bench.tree.files() == before
        assert distro.immutable in " ".join(bench.log.of("warning"))
        return
    assert {path: bench.tree.text(path) for path in known.hostname} == known.hostname
    lines = [line.split() for line in bench.tree.text("/etc/hosts").splitlines()]
    own = [line[0] for line in lines if "web1.example.org" in line[1:2]]
    assert own[:1] == ([known.own] if known.own else [])
    for old in ("localhost.localdomain", "debian", "darkstar", "linux-abcd"):
        assert old not in bench.tree.text(distro.hostname_file)
        assert not any(old in line and not line[0].startswith(("127.0.0.1", "::1")) for line in lines)


def test_password(known: Known, distro: Distro, bench: Bench) -> None:
    assert _run(bench, distro, password, {"hashes": [YESCRYPT, BCRYPT, SHA512]})
    best = next(each for each in (YESCRYPT, BCRYPT, SHA512) if each in known.hashes)
    assert next(line.split(":")[1] for line in bench.tree.text("/etc/shadow").splitlines()) == best
    assert not bench.log.of("warning")


def test_ssh_keys(distro: Distro, bench: Bench) -> None:
    assert _run(bench, distro, ssh_keys, {"keys": [KEY]})
    assert bench.tree.text("/root/.ssh/authorized_keys") == f"{KEY}\n"
    assert bench.tree.mode("/root/.ssh/authorized_keys") == 0o600


def test_host_keys(known: Known, distro: Distro, bench: Bench) -> None:
    public = ["ssh-ed25519 AAAAnew x", "ssh-rsa AAAAnew x"]
    assert _run(bench, distro, host_keys, {"private_keys": ["new\n", "newer\n"], "public_keys": public})
    folder = bench.tree / "/etc/ssh"
    assert sorted(path.name for path in folder.glob("ssh_host_*")) == [
        "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "ssh_host_rsa_key", "ssh_host_rsa_key.pub",
    ]  # fmt: skip
    for kind in ("ed25519", "rsa"):
        assert bench.tree.mode(f"/etc/ssh/ssh_host_{kind}_key") == known.key_mode
        assert bench.tree.owner(f"/etc/ssh/ssh_host_{kind}_key") == (0, known.key_group)
        assert bench.tree.mode(f"/etc/ssh/ssh_host_{kind}_key.pub") == 0o644


def test_machine_id(known: Known, distro: Distro, bench: Bench) -> None:
    _run(bench, distro, machine_id)
    if distro.first_boot:
        assert not (bench.tree / "/etc/machine-id").exists()
    elif known.init == "systemd" or distro.immutable:
        assert bench.tree.text("/etc/machine-id") == ""
    assert not (bench.tree / "/var/lib/dbus/machine-id").exists()


def test_network(distro: Distro, bench: Bench) -> None:
    root = bench.tree.root()
    before = bench.tree.files()
    renderer = renderers.choose(root, distro.renderers)
    if renderer is not None:
        chosen = renderers.find(renderer)
        assert renderer == distro.renderers[0] or (chosen is not None and chosen.active(root))
        assert _run(bench, distro, network)
        changed = [content for path, content in bench.tree.files().items() if before.get(path) != content]
        assert any(b"192.0.2.10" in content for content in changed if isinstance(content, bytes))
    elif distro.immutable:
        assert not _run(bench, distro, network)
        assert bench.tree.files() == before
        assert distro.immutable in " ".join(bench.log.of("warning"))


@pytest.mark.parametrize("name", ["nixos", "guix"])
@pytest.mark.parametrize("path", ["/etc/hosts", "/etc/static/new", "/etc/static/a/b", "/etc/static/../x"])
def test_nothing_is_written_into_a_store(path: str, distro: Distro, tree: Tree) -> None:
    root = tree.root()
    distro.look(root)
    before = tree.names()
    with pytest.raises(TaskError) as error:
        root.write(path, "x\n")
    assert error.value.remedy == distro.immutable
    with pytest.raises(TaskError):
        root.symlink("/x", "/etc/static/link")
    with pytest.raises(TaskError):
        root.chmod("/etc/hosts", 0o600)
    assert tree.names() == before


@pytest.mark.parametrize("name", ["nixos", "guix"])
@pytest.mark.parametrize(
    ("task", "options"), [(timezone, {"zone": "UTC"}), (locale, {"lang": "de_DE.UTF-8"}), (keyboard, {"layout": "de"})]
)
def test_settings_of_the_description_stay(
    distro: Distro, bench: Bench, task: object, options: Mapping[str, object]
) -> None:
    before = bench.tree.files()
    assert not _run(bench, distro, task, options)
    assert bench.tree.files() == before
    assert distro.immutable in bench.log.of("warning")[0]


def test_passwords_that_do_not_last(bench: Bench) -> None:
    root = trees.build(bench.tree, "nixos").root()
    (bench.tree / USERS).write_text('{"mutableUsers": false}')
    distro = base.detect(read(root), root)
    _run(bench, distro, password, {"hashes": [SHA512]})
    assert "lasts until the first boot" in bench.log.of("warning")[0]


def test_nixos_before_its_first_boot(bench: Bench) -> None:
    tree = trees.build(bench.tree, "nixos")
    for path in ("os-release", "hostname", "hosts", "ssh/sshd_config", "static"):
        (tree / f"/etc/{path}").unlink()
    root = tree.root()
    distro = base.detect(read(root), root)
    assert (distro.id, distro.version) == ("nixos", "24.05")
    assert not _run(bench, distro, hostname)
    assert _run(bench, distro, ssh_keys, {"keys": [KEY]})


# --- systems that are not known ---


def test_an_unknown_linux_gets_what_is_generic(bench: Bench) -> None:
    """As Linux From Scratch: nothing but what every system has"""
    tree = bench.tree
    tree.put("/etc/os-release", 'ID=lfs\nNAME="Linux From Scratch"\n')
    tree.put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    tree.put("/etc/shadow", "root:*:1::::::\n")
    root = tree.root()
    distro = base.detect(read(root), root)
    assert (distro.known, distro.name) == (False, "Linux From Scratch")
    assert _run(bench, distro, hostname, {"name": "web1.example.org"})
    assert _run(bench, distro, password, {"hashes": [YESCRYPT, SHA512]})
    assert _run(bench, distro, ssh_keys, {"keys": [KEY]})
    assert not _run(bench, distro, host_keys, {"private_keys": ["new\n"], "public_keys": ["ssh-rsa AAAA x"]})
    assert not _run(bench, distro, machine_id)
    assert tree.text("/etc/hostname") == SHORT
    assert tree.text("/etc/shadow").startswith(f"root:{SHA512}:")


@pytest.mark.parametrize(
    ("os_release", "kind", "renderer"),
    [
        ({"ID": "raspbian", "ID_LIKE": "debian", "VERSION_ID": "12"}, "Debian", "netplan"),
        ({"ID": "kali", "VERSION_ID": "2024.2"}, "Debian", "netplan"),
        ({"ID": "pop", "ID_LIKE": "ubuntu debian"}, "Ubuntu", "netplan"),
        ({"ID": "linuxmint", "ID_LIKE": "debian"}, "Debian", "netplan"),
        ({"ID": "endeavouros", "ID_LIKE": "arch"}, "Arch", "networkd"),
        ({"ID": "manjaro"}, "Arch", "networkd"),
        ({"ID": "cachyos", "ID_LIKE": "arch"}, "Arch", "networkd"),
        ({"ID": "rhel", "VERSION_ID": "7.9"}, "Rhel", "ifcfg"),
        ({"ID": "centos", "VERSION_ID": "10"}, "CentOS", "networkmanager"),
        ({"ID": "scientific", "VERSION_ID": "7.9"}, "Rhel", "ifcfg"),
        ({"ID": "virtuozzo", "VERSION_ID": "8"}, "Rhel", "ifcfg"),
        ({"ID": "eurolinux", "VERSION_ID": "9.3"}, "Rhel", "networkmanager"),
        ({"ID": "alinux", "ID_LIKE": "rhel fedora", "VERSION_ID": "3", "PLATFORM_ID": "platform:al8"}, "Rhel", "ifcfg"),
        ({"ID": "fedora", "VERSION_ID": "32"}, "Fedora", "ifcfg"),
        ({"ID": "fedora", "VERSION_ID": "rawhide"}, "Fedora", "networkmanager"),
        ({"ID": "rhcos", "ID_LIKE": "rhel fedora", "VERSION_ID": "4.14"}, "CoreOS", "networkmanager"),
        ({"ID": "amzn", "ID_LIKE": "rhel fedora", "VERSION_ID": "2018.03"}, "Amazon", "ifcfg"),
        ({"ID": "opensuse", "VERSION_ID": "42.3"}, "OpenSuse", "wicked"),
        ({"ID": "opensuse-microos", "VERSION_ID": "20240612"}, "OpenSuse", "networkmanager"),
        ({"ID": "opensuse-leap", "VERSION_ID": "16.0"}, "OpenSuse", "networkmanager"),
        ({"ID": "sled", "VERSION_ID": "15.5"}, "Sles", "wicked"),
        ({"ID": "sles", "VERSION_ID": "16.0"}, "Sles", "networkmanager"),
        ({"ID": "sle-micro", "ID_LIKE": "suse", "VERSION_ID": "5.5"}, "Sles", "networkmanager"),
        ({"ID": "funtoo"}, "Gentoo", "netifrc"),
        ({"ID": "postmarketos", "ID_LIKE": "alpine"}, "Alpine", "alpine"),
        ({"ID": "mageia", "ID_LIKE": "mandriva fedora", "VERSION_ID": "9"}, "Fedora", "ifcfg"),
    ],
    ids=lambda value: value.get("ID") if isinstance(value, dict) else None,
)
def test_derivatives_and_versions(os_release: dict[str, str], kind: str, renderer: str) -> None:
    distro = base.detect(os_release)
    assert (type(distro).__name__, distro.renderers[0], distro.known) == (kind, renderer, True)
    assert distro.version == os_release.get("VERSION_ID", "")
