"""`make demo`: an instance from image to a login over ssh, on a real Ganeti cluster

Everything a user sees of it is printed: the commands, Ganeti's output, what the deployment's log says about where the
time went, and what the instance says about itself.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

from helper_agent.run import CommandFailed, run
from tests.vm.cluster.ganeti import IMAGE_STORE, INSTANCES, Cluster, add_argv, hide, ssh_argv

NAME = "demo"
INSTANCE = "instance1.test"
IMAGE = "debian-msdos.qcow2"
QUESTIONS = {
    "hostname": "hostname -f",
    "size of /": "df -h --output=source,fstype,size,used,avail /",
    "address": "ip -brief address show scope global",
    "users, their password's state and number of keys": (
        "for user in root debian; do home=$(getent passwd $user | cut -d: -f6); echo $user: password"
        " $(passwd --status $user | cut -d' ' -f2), keys $(wc -l <$home/.ssh/authorized_keys); done"
    ),
    "swap": "swapon --show --noheadings",
    "machine-id": "cat /etc/machine-id",
    "host keys": "for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done",
}


def main() -> int:
    """Entry of `make demo`"""
    keep = os.environ.get("DEMO_KEEP", "") not in ("", "0")
    began = time.monotonic()
    say("A real Ganeti cluster of one node, in namespaces of its own")
    cluster = Cluster.start(NAME)
    try:
        deploy(cluster)
    except (CommandFailed, TimeoutError, RuntimeError) as error:
        print(f"\nThe demo failed: {error}\n{getattr(error, 'output', '')}", file=sys.stderr)
        logs = cluster.save_logs(Path("build/test-logs/demo"))
        print(f"Logs are in {logs}", file=sys.stderr)
        return 1
    finally:
        if keep:
            cluster.capsule.keep()
            show_entrance(cluster)
        else:
            say("Cleaning up")
            cluster.destroy()
    print(f"Done in {time.monotonic() - began:.0f} s")
    return 0


def deploy(cluster: Cluster) -> None:
    """Installs, deploys, logs in, and shows what is there"""
    version = cluster.run(["gnt-cluster", "version"]).text.splitlines()[0]
    print(version)
    say("make install, and what Ganeti says about the OS definition")
    cluster.install()
    print(cluster.run(["gnt-os", "diagnose"]).text.strip())
    key = make_key(cluster)
    parameters = {
        "image": IMAGE,
        "users": "root debian",
        "ssh_keys": key.with_suffix(".pub").read_text().strip(),
        "swap": "partition:256",
        "dns_servers": "10.77.0.1",
    }
    argv = add_argv(INSTANCE, parameters, secret={"password": secrets.token_urlsafe(12)})
    say(f"The main job: {IMAGE_STORE}/{IMAGE} onto a disk of 4 GiB")
    print(f"# {hide(argv)}")
    began = time.monotonic()
    subprocess.run(cluster.capsule.argv(argv), check=False, stdin=subprocess.DEVNULL)
    log = cluster.log_of("add", INSTANCE)
    say(f"gnt-instance add took {time.monotonic() - began:.1f} s; the deployment's log, with where the time went")
    print(log.strip())
    if cluster.run(["gnt-instance", "list", "--no-headers", "-o", "status", INSTANCE]).text.strip() != "running":
        raise RuntimeError(f"{INSTANCE} does not run")
    say(f"Waiting for {INSTANCE} to boot (half a minute and more without KVM)")
    began = time.monotonic()
    with cluster.console(INSTANCE):
        cluster.wait_for_ssh(INSTANCE, key)
    print(f"logged in after {time.monotonic() - began:.1f} s at {INSTANCES[INSTANCE]}")
    say("What the instance says")
    for what, command in QUESTIONS.items():
        answer = cluster.ssh(INSTANCE, key, command).text.strip() or "none"
        print(f"{what}:\n" + "\n".join(f"    {line}" for line in answer.splitlines()))
    compare_fingerprints(cluster, log)


def make_key(cluster: Cluster) -> Path:
    """A new key pair; the private key's file"""
    key = cluster.capsule.folder / "id_ed25519"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "admin@demo", "-f", str(key)])
    return key


def compare_fingerprints(cluster: Cluster, log: str) -> None:
    """The host key's fingerprint as ssh saw it, and whether it is one that the deployment announced

    Raises:
        RuntimeError: it is not
    """
    seen = run(["ssh-keygen", "-lf", str(cluster.known_hosts)]).text.split()[1]
    announced = "announced by the deployment" if seen in log else "NOT ANNOUNCED by the deployment"
    print(f"host key as ssh saw it:\n    {seen}, {announced}")
    if seen not in log:
        raise RuntimeError("The host key is not the one that the deployment made")


def show_entrance(cluster: Cluster) -> None:
    """How to enter what DEMO_KEEP=1 leaves"""
    key = cluster.capsule.folder / "id_ed25519"
    ssh = ssh_argv(INSTANCES[INSTANCE], key, "", user="root", known_hosts=cluster.known_hosts)[:-1]
    say("The cluster is still there")
    print(f"node:      {' '.join(cluster.capsule.argv(['bash', '-l']))}")
    print(f"instance:  {' '.join(cluster.capsule.argv(ssh))}")
    print("end it:    make sweep ALL=1")


def say(text: str) -> None:
    """A heading"""
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
