from __future__ import annotations

import pytest

from helper_agent.distros import base, users
from tests.helper.distros import trees
from tests.helper.support import Tree


@pytest.mark.parametrize(
    ("os_release", "kind", "known"),
    [
        (trees.OS_RELEASE, "Debian", True),
        ({"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_ID": "24.04"}, "Ubuntu", True),
        ({"ID": "devuan", "ID_LIKE": "debian"}, "Devuan", True),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "Ubuntu", True),
        ({"ID": "plan9"}, "Distro", False),
        ({}, "Distro", False),
    ],
)
def test_detect(tree: Tree, os_release: dict[str, str], kind: str, known: bool) -> None:
    distro = base.detect(os_release, tree.root())
    assert (type(distro).__name__, distro.known) == (kind, known)
    assert distro.ids[0] == distro.id == os_release.get("ID", "linux")


def test_debian_without_os_release(tree: Tree) -> None:
    tree.put("/etc/debian_version", "7.11\n")
    distro = base.detect({}, tree.root())
    assert (distro.id, distro.version, distro.known) == ("debian", "7.11", True)


@pytest.mark.parametrize("module", sorted(set(base.MODULES.values())))
def test_every_module_has_a_distro(module: str) -> None:
    name = next(name for name, value in base.MODULES.items() if value == module)
    assert base.detect({"ID": name}).known


@pytest.mark.parametrize(
    ("content", "hashed", "verifies"),
    [
        (trees.LIBXCRYPT, "$y$j9T$a$b", True),
        (trees.LIBXCRYPT, "$gy$j9T$a$b", True),
        (trees.GLIBC_CRYPT, "$y$j9T$a$b", False),
        (trees.GLIBC_CRYPT, "$6$a$b", True),
        (trees.GLIBC_CRYPT, "abJnggxhB/yWI", False),
    ],
)
def test_verifies(tree: Tree, content: bytes, hashed: str, verifies: bool) -> None:
    tree.put("/lib/x86_64-linux-gnu/libcrypt.so.1", content)
    assert base.Distro({}).verifies(tree.root(), hashed) is verifies


def test_this_systems_own_library_knows_yescrypt() -> None:
    from helper_agent.root import Root

    assert base.Distro({}).verifies(Root("/"), "$y$j9T$a$b")


def test_users(tree: Tree) -> None:
    lines = "root:x:0:0::/root:/bin/sh", "short:x:1", "a:x:-1:0::/:/x", "b:x:5:5::rel:/x", "root:x:7:7::/:/x", "+::::::"
    tree.put("/etc/passwd", "\r\n".join(lines))
    found = users.read(tree.root())
    assert list(found) == ["root", "b"]
    assert found["root"] == users.User("root", 0, 0, "/root", "/bin/sh\r")
    assert found["b"].home == "/"


@pytest.mark.parametrize(("line", "owner"), [("ssh_keys:x:101:", (0o640, "ssh_keys")), ("ssh_keys:x", (0o600, 0))])
def test_a_group_that_the_system_can_not_read_owns_no_host_key(
    tree: Tree, line: str, owner: tuple[int, int | str]
) -> None:
    tree.put("/etc/group", f"{line}\n")
    distro = base.Distro({})
    distro.host_key_group, distro.host_key_mode = "ssh_keys", 0o640
    assert distro.host_key_owner(tree.root()) == owner
