"""Labels of a policy, compared with what libselinux's own matchpathcon finds"""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

import pytest

from helper_agent.selinux.contexts import Contexts

POLICY = r"""
# a policy of all constructs
/.*	system_u:object_r:default_t:s0
/	-d	system_u:object_r:root_t:s0
/\.autorelabel	--	system_u:object_r:etc_runtime_t:s0
/swapfile	--	system_u:object_r:swapfile_t:s0
/etc/.*	system_u:object_r:etc_t:s0
/etc	-d	system_u:object_r:etc_t:s0
/etc/fstab\.REVOKE	--	system_u:object_r:etc_runtime_t:s0
/etc/shadow.*	--	system_u:object_r:shadow_t:s0
/etc/(open)?ssh/primes	--	system_u:object_r:sshd_key_t:s0
/etc/ssh/ssh_host_[^/]+_key	--	system_u:object_r:sshd_key_t:s0
/etc/hosts\.deny.*	--	system_u:object_r:net_conf_t:s0
/etc/resolv\.conf.*	--	system_u:object_r:net_conf_t:s0
/etc/systemd(/.*)?	system_u:object_r:systemd_unit_t:s0
/etc/init\.d/.*	--	system_u:object_r:initrc_exec_t:s0
/etc/cron(\.daily|\.weekly)?/.+	--	system_u:object_r:cron_t:s0
/etc/rc[0-6]\.d/S[0-9]{2}.*	-l	system_u:object_r:rc_t:s0
/etc/mtab	--	system_u:object_r:etc_runtime_t:s0
/etc/mtab	-l	system_u:object_r:link_t:s0
/usr(/.*)?	system_u:object_r:usr_t:s0
/usr/lib(/.*)?	system_u:object_r:lib_t:s0
/usr/s?bin(/.*)?	system_u:object_r:bin_t:s0
/usr/lib/.*\.so(\.[^/]*)*	--	system_u:object_r:shlib_t:s0
/usr/(local/)?libexec/x	--	system_u:object_r:libexec_t:s0
/var/.*	system_u:object_r:var_t:s0
/var/lib/\+x	--	system_u:object_r:plus_t:s0
/var/log(/.*)?	system_u:object_r:var_log_t:s0
/var/lock(/.*)?	<<none>>
/run/.*	<<none>>
/run(/.*)?	-d	system_u:object_r:var_run_t:s0
/dev/.*tty[^/]*	-c	system_u:object_r:tty_t:s0
/dev/sd[a-z]+[0-9]*	-b	system_u:object_r:disk_t:s0
/root(/.*)?	system_u:object_r:user_home_t:s0
/root/\.ssh(/.*)?	system_u:object_r:ssh_home_t:s0
/home/[^/]+/.+	user_u:object_r:user_home_t:s0
/home/[^/]+/\.ssh(/.*)?	user_u:object_r:ssh_home_t:s0
/srv/([^/]*/)?www(/.*)?	system_u:object_r:httpd_t:s0
/srv/\(odd\)\.name	--	system_u:object_r:odd_t:s0
/opt/a?b/.*	system_u:object_r:opt_t:s0
/opt/c{2}/.*	system_u:object_r:opt_t:s0
"""
SUBS_DIST = (
    "# comment\n/run/lock /var/lock\n/lib /usr/lib\n/lib64 /usr/lib\n/var/run /run\n/lib/systemd /usr/lib/systemd\n"
)
SUBS = "/data /srv\n"
PATHS = [
    "/", "/.autorelabel", "/xautorelabel", "/swapfile", "/etc", "/etc/fstab", "/etc/fstab.REVOKE",
    "/etc/fstabxREVOKE", "/etc/shadow", "/etc/shadow-", "/etc/ssh/primes", "/etc/openssh/primes",
    "/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_rsa_key.pub", "/etc/hosts.deny", "/etc/resolv.conf",
    "/etc/systemd", "/etc/systemd/system/a.service", "/etc/init.d/ssh", "/etc/cron/x", "/etc/cron.daily/x",
    "/etc/cron.monthly/x", "/etc/rc2.d/S01ssh", "/etc/rc7.d/S01ssh", "/etc/mtab", "/usr", "/usrx", "/usr/bin/ls",
    "/usr/sbin/x", "/usr/xbin/x", "/usr/lib/x.so.1.2", "/usr/lib/x/y.so", "/usr/libexec/x", "/usr/local/libexec/x",
    "/lib/x.so", "/lib64/x.so", "/lib", "/lib/systemd/a", "/libx/y", "/var/run/x", "/var/run", "/run", "/run/x",
    "/run/lock", "/run/lock/x", "/var/lock", "/var/log", "/var/log/a/b", "/var/logs", "/var/lib/+x", "/dev/tty1",
    "/dev/pts/tty", "/dev/sda1", "/dev/sd", "/root", "/root/.ssh", "/root/.ssh/authorized_keys", "/root/x", "/home/a",
    "/home/a/b", "/home/a/.ssh/x", "/srv/www", "/srv/a/www/x", "/srv/a/b/www", "/srv/(odd).name", "/data/www",
    "/data", "/datax", "/opt/ab/x", "/opt/b/x", "/opt/cc/x", "/opt/c/x", "/media/x",
]  # fmt: skip
KINDS = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "link": stat.S_IFLNK,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
}


@pytest.mark.programs
@pytest.mark.parametrize("kind", KINDS)
def test_as_libselinux(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "file_contexts"
    file.write_text(POLICY)
    file.with_name("file_contexts.subs_dist").write_text(SUBS_DIST)
    file.with_name("file_contexts.subs").write_text(SUBS)
    argv = ["matchpathcon", "-f", str(file), "-m", kind, *PATHS]
    printed = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    theirs = dict(line.split("\t", 1) for line in printed.splitlines())
    contexts = Contexts([POLICY], local=SUBS, distribution=SUBS_DIST)
    some = Contexts([POLICY], local=SUBS, distribution=SUBS_DIST, wanted=PATHS)
    for path in PATHS:
        expected = theirs.get(path, "<<none>>")
        for one in (contexts, some):
            assert (path, one.find(path, KINDS[kind]) or "<<none>>") == (path, expected)


def test_later_files_win() -> None:
    contexts = Contexts([POLICY, "/home/[^/]+ -d u:r:home:s0\n", "/etc/shadow.* -- local:s0\n"])
    assert contexts.find("/etc/shadow", stat.S_IFREG) == "local:s0"
    assert contexts.find("/home/a", stat.S_IFDIR) == "u:r:home:s0"


def test_lines_for_other_paths_are_left_out() -> None:
    contexts = Contexts([POLICY], wanted=["/etc/shadow"])
    assert contexts.find("/etc/shadow", stat.S_IFREG) == "system_u:object_r:shadow_t:s0"
    assert contexts.find("/var/log/x", stat.S_IFREG) != "system_u:object_r:var_log_t:s0"


def test_what_python_does_not_have() -> None:
    contexts = Contexts(["/a(*SKIP).* c\n"])
    assert contexts.find("/etc", stat.S_IFDIR) is None
    with pytest.raises(re.error):
        contexts.find("/ab", stat.S_IFREG)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# x", "/etc", "/etc -x y", "/etc -- a b", "\0\xff\n", "/" * 100_000, "a\n" * 300_000]
)
def test_lines_that_are_none(text: str) -> None:
    assert Contexts([text], local=text, distribution=text).find("/etc", stat.S_IFDIR) is None


@pytest.mark.parametrize("regex", ["/etc/" + "(" * 3000 + ")" * 3000, "/etc/a{99999999999999}b*", "/etc/[z-a]+"])
def test_a_line_that_is_no_expression(regex: str) -> None:
    with pytest.raises(re.error):
        Contexts([f"{regex} system_u:object_r:etc_t:s0\n"]).find("/etc/ab", stat.S_IFREG)
