"""Small trees of systems that the authors' kit has none of: the files that the network's renderers look at"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base


def void(tree: Tree) -> Tree:
    """Void Linux: runit, dhcpcd"""
    base.merged_usr(tree)
    tree.put("/usr/bin/runit-init", base.ELF, mode=0o755)
    tree.link("/usr/bin/init", "runit-init")
    tree.put("/usr/bin/dhcpcd", base.ELF, mode=0o755)
    tree.put("/etc/sv/dhcpcd/run", "#!/bin/sh\nexec dhcpcd -B\n", mode=0o755)
    tree.link("/etc/runit/runsvdir/default/dhcpcd", "/etc/sv/dhcpcd")
    return tree


def gentoo(tree: Tree) -> Tree:
    """Gentoo with OpenRC and netifrc, as its installer's handbook has it"""
    tree.put("/sbin/openrc-init", base.ELF, mode=0o755)
    tree.put("/sbin/init", base.ELF, mode=0o755)
    tree.put("/etc/inittab", "si::sysinit:/sbin/openrc sysinit\n")
    tree.put("/etc/init.d/net.lo", "#!/sbin/openrc-run\n", mode=0o755)
    tree.link("/etc/init.d/net.eth0", "net.lo")
    tree.link("/etc/runlevels/boot/net.lo", "/etc/init.d/net.lo")
    tree.link("/etc/runlevels/default/net.eth0", "/etc/init.d/net.eth0")
    tree.put("/etc/conf.d/net", 'config_eth0="dhcp"\n')
    return tree


def slackware(tree: Tree) -> Tree:
    """Slackware 15"""
    tree.put("/sbin/init", base.ELF, mode=0o755)
    for name in ("S", "M", "inet1", "local"):
        tree.put(f"/etc/rc.d/rc.{name}", "#!/bin/bash\n", mode=0o755)
    tree.put("/etc/rc.d/rc.networkmanager", "#!/bin/bash\n", mode=0o644)
    tree.put("/etc/rc.d/rc.inet1.conf", 'USE_DHCP[0]="yes"\n', mode=0o600)
    return tree


def centos7(tree: Tree) -> Tree:
    """CentOS 7 as its cloud image: NetworkManager beside the network scripts, which are switched on"""
    base.merged_usr(tree)
    base.systemd(tree, "sshd")
    tree.put("/usr/lib/systemd/system/NetworkManager.service", "[Install]\nWantedBy=multi-user.target\n")
    tree.put("/usr/lib64/NetworkManager/1.18.8-2.el7_9/libnm-settings-plugin-ifcfg-rh.so", base.ELF)
    tree.put("/etc/sysconfig/network-scripts/ifup-eth", "#!/bin/bash\n", mode=0o755)
    tree.put("/etc/rc.d/init.d/network", "#! /bin/bash\n", mode=0o755)
    for level in "2345":
        tree.link(f"/etc/rc.d/rc{level}.d/S10network", "../init.d/network")
    tree.put("/etc/sysconfig/network", "# Created by anaconda\nGATEWAY=10.0.0.1\n")
    tree.put("/etc/sysconfig/network-scripts/ifcfg-lo", "DEVICE=lo\nIPADDR=127.0.0.1\nONBOOT=yes\n")
    tree.put("/etc/sysconfig/network-scripts/ifcfg-eth0", 'DEVICE="eth0"\nBOOTPROTO="dhcp"\nTYPE="Ethernet"\n')
    return tree
