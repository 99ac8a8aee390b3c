"""What takes the secrets away once an instance's cloud-init has done its work

cloud-init keeps user data in a dozen places, and asks its data source again at each boot. So a script of ours waits, at
each boot until it has succeeded once, for cloud-init's last stage, and leaves of user data what is acted on at each
boot (bootcmd, boothooks, ...) and nothing else. The meta-data stays: the data source is found again with the same
instance-id, and nothing that runs once an instance runs again. Its state (`sem/`) is not touched.
"""

from __future__ import annotations

import json

NAME = "zz-instance-helper-scrub"
MARK = "GANETI-INSTANCE-HELPER"
"""In the application identifier of a seed disk that the node made, before the instance's UUID."""

EACH_BOOT = ("bootcmd", "growpart", "resize_rootfs", "manage_etc_hosts", "manage_resolv_conf", "resolv_conf",
             "preserve_hostname", "hostname", "fqdn", "prefer_fqdn_over_hostname", "create_hostname_file", "updates",
             "network", "output", "final_message", "disable_ec2_metadata", "ssh_quiet_keygen")  # fmt: skip
"""Keys of cloud-config that modules with the frequency `always` read, or that say how it runs."""


def script(interpreter: str, uuid: str) -> str:
    """The script, for the Python that the image's cloud-init has"""
    own = f"EACH_BOOT = {json.dumps(EACH_BOOT)}\nSEED_DISK = {json.dumps(f'{MARK} {uuid.upper()}')}.encode()\n"
    return f"#!{interpreter}\n{_HEAD}{own}{_BODY}"


_HEAD = '''\
"""Take the secrets out of what cloud-init keeps, once its first boot is over. Written by ganeti-instance-helper

/usr/share/doc/ganeti-instance-helper on the node says more (docs/cloud-init.md). It removes itself when it is done.
"""
import glob
import json
import os
import shutil
import sys
import time
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import yaml

CLOUD = os.environ.get("CLOUD_DIR", "/var/lib/cloud")
RUN = os.environ.get("CLOUD_RUN", "/run/cloud-init")
SYS = os.environ.get("CLOUD_SYS", "/sys/class/block")
DEV = os.environ.get("CLOUD_DEV", "/dev")
SEED = os.path.join(CLOUD, "seed/nocloud")
INSTANCE = os.path.join(CLOUD, "instance")
PATIENCE = 24 * 3600
SECTOR = 2048
'''

_BODY = '''

def main():
    if "--now" not in sys.argv:
        # cloud-init waits for its scripts, and this one waits for cloud-init
        if os.fork():
            return
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        deadline = time.time() + PATIENCE
        while not os.path.exists(os.path.join(RUN, "result.json")):
            if time.time() > deadline:
                return
            time.sleep(1)
    scrub()


def scrub():
    config = merged()
    if any(name.startswith("cloud_") and name.endswith("_modules") for name in config):
        # The user says what runs at each boot, which may be anything in it: it stays, for root alone
        only_root()
    else:
        kept = {name: config[name] for name in EACH_BOOT if name in config}
        user_data = remaining(kept)
        os.makedirs(SEED, mode=0o700, exist_ok=True)
        write(os.path.join(SEED, "user-data"), user_data)
        for name in ("vendor-data", "vendor-data2"):
            remove(os.path.join(SEED, name))
        disks()
        instance(kept, user_data)
    runtime()
    os.sync()
    remove(os.path.abspath(__file__))


def merged():
    """The cloud-config that counted, of all parts"""
    found = {}
    for name in ("vendor-cloud-config.txt", "vendor2-cloud-config.txt", "cloud-config.txt"):
        try:
            with open(os.path.join(INSTANCE, name)) as file:
                loaded = yaml.safe_load(file)
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(loaded, dict):
            found.update(loaded)
    return found


def remaining(kept):
    """User data of what is acted on at each boot"""
    config = "#cloud-config\\n" + yaml.safe_dump(kept, default_flow_style=False)
    hooks = sorted(glob.glob(os.path.join(INSTANCE, "boothooks", "*")))
    if not hooks:
        return config
    parts = MIMEMultipart()
    parts.attach(MIMEText(config, "cloud-config", "utf-8"))
    for path in hooks:
        with open(path, encoding="utf-8", errors="replace") as file:
            parts.attach(MIMEText(file.read(), "cloud-boothook", "utf-8"))
    return parts.as_string()


def instance(kept, user_data):
    """cloud-init's own copies; it makes them anew from the seed"""
    if not os.path.isdir(INSTANCE):
        return
    for pattern in ("user-data*", "vendor-data*", "vendor*-cloud-config.txt", "obj.pkl", "scripts/*", "vendor/*"):
        for path in glob.glob(os.path.join(INSTANCE, pattern)):
            remove(path)
    for path in glob.glob(os.path.join(INSTANCE, "scripts", "*", "*")):
        remove(path)
    write(os.path.join(INSTANCE, "user-data.txt"), user_data)
    write(os.path.join(INSTANCE, "cloud-config.txt"), "#cloud-config\\n" + yaml.safe_dump(kept))


def runtime():
    """What is in /run until the next boot"""
    public, secret = (os.path.join(RUN, "instance-data%s.json" % kind) for kind in ("", "-sensitive"))
    if os.path.exists(public) and os.path.exists(secret):
        with open(public) as file:
            write(secret, file.read())
    remove(os.path.join(RUN, "combined-cloud-config.json"))


def only_root():
    for top in (SEED, os.path.realpath(INSTANCE)):
        if os.path.isdir(top):
            os.chmod(top, 0o700)


def disks():
    """Zeros over a seed disk that was made for this instance; what it said is in the seed folder"""
    for path in sorted(glob.glob(os.path.join(SYS, "*"))):
        name = os.path.basename(path)
        if name.startswith(("loop", "ram", "zram", "dm-", "md", "sr", "fd")):
            continue
        try:
            with open(os.path.join(DEV, name), "r+b", buffering=0) as disk:
                disk.seek(16 * SECTOR)
                head = disk.read(SECTOR)
                if head[1:6] != b"CD001" or not head[574:702].startswith(SEED_DISK):
                    continue
                left = int.from_bytes(head[80:84], "little") * SECTOR
                disk.seek(0)
                while left > 0:
                    left -= disk.write(bytes(min(left, 1 << 20)))
                os.fsync(disk.fileno())
        except OSError:
            continue


def write(path, text):
    draft = path + ".new"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    os.rename(draft, path)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.remove(path)


if __name__ == "__main__":
    main()
'''
