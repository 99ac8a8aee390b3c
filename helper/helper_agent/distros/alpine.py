"""Alpine: musl, BusyBox, OpenRC with scripts of its own

musl takes every locale's name and has no files of them. The ifupdown is BusyBox's or ifupdown-ng, and neither knows all
that Debian's does.
"""

from __future__ import annotations

from helper_agent.distros.base import Distro


class Alpine(Distro):
    """Alpine 3.0 and later; it reads the hostname from a plain file, as OpenRC elsewhere doesn't"""

    known = True
    renderers = ("alpine", "networkmanager")
    sshd_services = ("sshd",)
    admin_groups = ("wheel",)
    # after 20locale.sh, or locale.sh, which sets C.UTF-8
    locale_files = ("/etc/profile.d/zz-lang.sh",)
    keyboard_files = ("/etc/conf.d/loadkmap",)


DISTRO = Alpine
