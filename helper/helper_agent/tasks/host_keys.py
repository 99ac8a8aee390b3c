"""Replace the ssh host keys

Instances made from one image must not share them. The new ones come from the node, since Debian makes none at boot by
itself and the image's ssh-keygen must not be run.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task, TaskError
from helper_agent.distros import cloud_init, sshd

TASK = Task(
    name="host-keys",
    phase="filesystems",
    options=(
        Option("private_keys", "list", "private keys in OpenSSH's format", secret=True),
        Option("public_keys", "list", "their public keys, one line each, in the same order"),
    ),
)

FOLDER = "/etc/ssh"
KINDS = {"ssh-ed25519": "ed25519", "ecdsa-sha2-nistp256": "ecdsa", "ssh-rsa": "rsa"}
"""First word of a public key -> the name in `ssh_host_NAME_key` (ssh-keygen -A)."""


def run(context: Context) -> None:
    """Remove all old keys, install the new ones where sshd looks for them"""
    root, distro = context.root, context.distro
    private, public = context.options.items("private_keys"), context.options.items("public_keys")
    if not public and not private:
        raise Skip("no keys given")
    keys = {KINDS.get(line.split(" ", 1)[0], ""): pair for line, *pair in zip(public, public, private, strict=False)}
    if len(public) != len(private) or "" in keys:
        raise TaskError("The host keys don't fit each other or are of an unknown kind", code="E-OPTION")
    if not distro.has_sshd(root):
        raise Skip("the image has no OpenSSH server")
    listed = [words[0] for words in sshd.settings(root, distro.sshd_config).get("hostkey", []) if words[0][:1] == "/"]
    paths = {path: _kind(path) for path in listed} or {f"{FOLDER}/ssh_host_{kind}_key": kind for kind in keys}
    if not any(kind in keys for kind in paths.values()):
        kinds = ", ".join(keys)
        raise TaskError(f"None of the image's HostKey lines is for a key of kind {kinds}", "add one to its sshd_config")
    mode, group = distro.host_key_owner(root)
    # New before old: a run that fails in between leaves an image whose sshd can start
    for path, kind in paths.items():
        if kind in keys:
            line, text = keys[kind]
            root.write(path, text.rstrip("\n") + "\n", mode=mode, uid=0, gid=group)
            root.write(f"{path}.pub", line.rstrip("\n") + "\n", mode=0o644, uid=0, gid=0)
    written = {name for path, kind in paths.items() if kind in keys for name in (path, f"{path}.pub")}
    for path in {*root.glob(f"{FOLDER}/ssh_host_*_key*"), *paths, *(f"{path}.pub" for path in paths)} - written:
        root.remove(path)
    # Neither its own in the place of these, nor one of a kind that is not among them (DSA)
    cloud_init.pin(root, "host-keys", f"ssh_deletekeys: false\nssh_genkeytypes: [{', '.join(keys)}]")
    context.log.info(f"New host keys: {', '.join(keys)}")


def _kind(path: str) -> str:
    """Which kind of key the file of a HostKey line is for, told by its name"""
    name = path.rpartition("/")[2].lower()
    return next((kind for kind in KINDS.values() if kind in name), "")
