"""Which system the release files speak of that are older than os-release"""

from __future__ import annotations

import pytest

from helper_agent.distros import base
from helper_agent.release import OLD_RELEASE_FILES, older
from helper_kit import traps
from tests.helper.support import Tree

SUSE_11 = "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n"
LSB = 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\nDISTRIB_DESCRIPTION="Ubuntu 10.04.4 LTS"\n'


@pytest.mark.parametrize(
    ("path", "text", "name", "version"),
    [
        ("/etc/redhat-release", "CentOS release 6.10 (Final)\n", "centos", "6.10"),
        ("/etc/centos-release", "CentOS Linux release 7.9.2009 (Core)\n", "centos", "7.9.2009"),
        ("/etc/redhat-release", "Red Hat Enterprise Linux Server release 6.10 (Santiago)\n", "rhel", "6.10"),
        ("/etc/oracle-release", "Oracle Linux Server release 6.10\n", "ol", "6.10"),
        ("/etc/redhat-release", "Scientific Linux release 6.10 (Carbon)\n", "scientific", "6.10"),
        ("/etc/redhat-release", "XenServer release 6.5.0-90233c (xenenterprise)\n", "rhel", "6.5.0"),
        ("/etc/fedora-release", "Fedora release 14 (Laughlin)\n", "fedora", "14"),
        ("/etc/system-release", "Amazon Linux AMI release 2014.03\n", "amzn", "2014.03"),
        ("/etc/redhat-release", "CloudLinux Server release 6.10 (Konstantin Feoktistov)\n", "cloudlinux", "6.10"),
        ("/etc/SuSE-release", SUSE_11, "sles", "11.4"),
        ("/etc/SuSE-release", "openSUSE 11.4 (x86_64)\nVERSION = 11.4\nCODENAME = Celadon\n", "opensuse", "11.4"),
        ("/etc/debian_version", "6.0.10\n", "debian", "6.0.10"),
        ("/etc/debian_version", "wheezy/sid\n", "debian", ""),
        ("/etc/lsb-release", LSB, "ubuntu", "10.04"),
        ("/etc/lsb-release", "DISTRIB_ID=Arch\nDISTRIB_RELEASE=rolling\n", "arch", ""),
        ("/etc/alpine-release", "2.6.6\n", "alpine", "2.6.6"),
        ("/etc/gentoo-release", "Gentoo Base System release 2.0.3\n", "gentoo", "2.0.3"),
        ("/etc/slackware-version", "Slackware 13.37.0\n", "slackware", "13.37.0"),
        ("/etc/arch-release", "", "arch", ""),
        ("/etc/devuan_version", "jessie\n", "devuan", ""),
        ("/etc/NIXOS", "", "nixos", ""),
        ("/usr/bin/xbps-install", "\x7fELF 9.9", "void", ""),
    ],
)
def test_older(tree: Tree, path: str, text: str, name: str, version: str) -> None:
    tree.put(path, text)
    root = tree.root()
    found = older(root)
    assert (found["ID"], found.get("VERSION_ID", "")) == (name, version)
    distro = base.detect({}, root)
    assert (distro.id, distro.version, distro.known) == (name, version, True)


def test_guix(tree: Tree) -> None:
    tree.folder("/gnu/store")
    assert base.detect({}, tree.root()).id == "guix"


def test_the_file_that_says_more_counts(tree: Tree) -> None:
    tree.put("/etc/redhat-release", "Red Hat Enterprise Linux Server release 6.10 (Santiago)\n")
    tree.put("/etc/oracle-release", "Oracle Linux Server release 6.10\n")
    assert older(tree.root())["ID"] == "ol"


def test_ubuntu_is_no_debian(tree: Tree) -> None:
    tree.put("/etc/debian_version", "squeeze/sid\n")
    tree.put("/etc/lsb-release", LSB)
    assert older(tree.root())["ID"] == "ubuntu"


def test_an_os_release_that_nobody_knows_is_helped_by_an_older_file(tree: Tree) -> None:
    tree.put("/etc/debian_version", "12.5\n")
    distro = base.detect({"ID": "myown", "VERSION_ID": "3"}, tree.root())
    assert (type(distro).__name__, distro.id, distro.version) == ("Debian", "myown", "3")


def test_nothing(tree: Tree) -> None:
    assert older(tree.root()) == {}
    assert not base.detect({}, tree.root()).known


@pytest.mark.parametrize("path", OLD_RELEASE_FILES)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    traps.spring(trap, tree, path, lambda: base.detect({}, tree.root()))
