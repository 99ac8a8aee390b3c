"""Remove what instances of one image must not share, or need not have

`auto`: random seeds, DHCP leases and identities, udev's names for the image's own network cards, iSCSI's and NVMe's
names of the machine. `full`: logs, caches of package managers, shells' histories, mail and temporary files as well. It
is the first task on the mounted image, so that nothing of the others is removed. SSH host keys and the machine ID have
tasks of their own.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.root import Root

TASK = Task(
    name="cleanup",
    phase="filesystems",
    options=(Option("level", "str", "what to remove: no, auto or full", "auto"),),
)

LEVELS = ("no", "auto", "full")
ISCSI = "/etc/iscsi/initiatorname.iscsi"
ISCSI_INIT = "/usr/lib/systemd/system/iscsi-init.service"
"""Makes iSCSI's name where there is none (RHEL); elsewhere (Debian) the file has to ask for one."""

SHARED = (
    # random seeds (systemd-random-seed(8), bootctl(1), urandom of sysvinit, seedrng)
    "/var/lib/systemd/random-seed",
    "/var/lib/urandom/random-seed",
    "/var/lib/misc/random-seed",
    "/var/lib/random-seed",
    "/var/lib/seedrng/seed.*",
    "/boot/loader/random-seed",
    "/boot/efi/loader/random-seed",
    "/efi/loader/random-seed",
    # leases, and by what DHCP servers know the machine
    "/var/lib/dhcp/*.lease*",
    "/var/lib/dhclient/*.lease*",
    "/var/lib/dhcpcd/*.lease*",
    "/var/lib/dhcpcd/duid",
    "/var/lib/dhcpcd/secret",
    "/var/lib/dhcpcd5/*.lease*",
    "/etc/dhcpcd.duid",
    "/etc/dhcpcd.secret",
    "/var/lib/NetworkManager/*.lease",
    "/var/lib/NetworkManager/secret_key",
    "/var/lib/wicked/*.xml",
    "/var/lib/udhcpc/*.lease*",
    # names of network cards by MAC addresses that this instance hasn't
    "/etc/udev/rules.d/70-persistent-net.rules",
    "/etc/udev/rules.d/70-persistent-cd.rules",
    # what storage knows the machine by
    "/etc/nvme/hostnqn",
    "/etc/nvme/hostid",
)
"""Files that go with `auto`; what needs them makes them anew."""

FULL = (
    "/var/cache/apt/archives/*.deb",
    "/var/cache/apt/*.bin",
    "/var/cache/yum/*",
    "/var/cache/dnf/*",
    "/var/cache/zypp/packages/*",
    "/var/cache/pacman/pkg/*",
    "/var/cache/apk/*",
    "/var/cache/xbps/*",
    "/var/cache/distfiles/*",
    "/var/cache/binpkgs/*",
    "/var/lib/systemd/coredump/*",
    "/var/crash/*",
    "/var/mail/*",
    "/var/spool/mail/*",
    "/tmp/*",
    "/tmp/.[!.]*",
    "/var/tmp/*",
    "/root/.*_history",
    "/root/.lesshst",
    "/root/.viminfo",
    "/root/anaconda-ks.cfg",
    "/root/original-ks.cfg",
    "/home/*/.*_history",
    "/home/*/.lesshst",
    "/home/*/.viminfo",
)
"""Files and folders that go with `full` on top."""
LOGS = "/var/log"
ROTATED = r".*\.(gz|xz|bz2|zst|old|\d+)|.*-\d{8}|.*\.(gz|xz|bz2|zst)-?\d*"
"""Logs of the past: they go, the others are emptied, since not every program makes its log anew."""


def run(context: Context) -> None:
    """Remove; what can't be removed is a warning"""
    level = context.options.text("level")
    if level not in LEVELS:
        raise TaskError(f"{level!r} is no level of cleaning up", f"give one of {', '.join(LEVELS)}", code="E-OPTION")
    if level == "no":
        return
    names = Names(context.root)
    removed = sum(_removed(context, path) for pattern in SHARED for path in names.fitting(pattern))
    if names.fitting(ISCSI):
        removed += _renew_iscsi(context)
    if level == "full":
        removed += sum(_removed(context, path) for pattern in FULL for path in names.fitting(pattern))
        removed += _clear_logs(context, names)
    if removed:
        context.log.info(f"{removed} {'name' if removed == 1 else 'names'} removed or emptied")


class Names:
    """What is in folders; each is listed once, and only where its name is in the folder above"""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, none where it isn't one"""
        if folder not in self._known:
            self._known[folder] = self._list(folder)
        return self._known[folder]

    def _list(self, folder: str) -> tuple[str, ...]:
        above, _, name = folder.rpartition("/")
        if folder and name not in self.of(above):
            return ()
        try:
            return tuple(self._root.listdir(folder or "/"))
        except (FileNotFoundError, TaskError):
            return ()

    def fitting(self, pattern: str) -> list[str]:
        """Paths that fit a pattern"""
        folder, _, name = pattern.rpartition("/")
        if "*" in folder:
            return self._root.glob(pattern) if self.of(folder.partition("/*")[0]) else []
        if "*" not in name:
            return [pattern] if name in self.of(folder) else []
        # a folder that is a symlink may be any, even the root
        return self._root.glob(pattern) if self.of(folder) and not self._root.is_symlink(folder) else []


def _removed(context: Context, path: str) -> bool:
    try:
        return context.root.remove_tree(path)
    except TaskError as error:
        context.log.warning(f"{error.cause}, so it stays")
        return False


def _renew_iscsi(context: Context) -> bool:
    root = context.root
    if not root.is_file(ISCSI):
        return False
    if root.exists(ISCSI_INIT):
        return _removed(context, ISCSI)
    try:
        # startup-checks.sh of Debian's open-iscsi makes a name then
        return root.install(ISCSI, "GenerateName=yes\n", mode=0o600)
    except TaskError as error:
        context.log.warning(f"{error.cause}, so it stays")
        return False


def _clear_logs(context: Context, names: Names) -> int:
    import re

    root = context.root
    if root.is_symlink(LOGS) or not root.is_dir(LOGS):
        return 0
    count = sum(_removed(context, path) for path in names.fitting(f"{LOGS}/journal/*"))
    for path in list(root.walk(LOGS)):
        name = path.rpartition("/")[2]
        try:
            if root.is_symlink(path) or not root.is_file(path):
                continue
            if re.fullmatch(ROTATED, name):
                count += root.remove(path)
            elif root.stat(path).st_size:
                root.write(path, b"")
                count += 1
        except TaskError as error:
            context.log.warning(f"{error.cause}, so it stays")
    return count
