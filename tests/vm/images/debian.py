"""Builds the Debian images, as files and without mounting anything

The tree comes from mmdebstrap; `mkfs.ext4 -d` puts it into a filesystem inside the image's file, sfdisk writes the
partition table into that file, and the boot loader is GRUB's boot.img and core.img, placed as grub-bios-setup would. So
no loop device, partition scan or device mapper of the machine is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import struct
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from helper_agent.run import run

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[2] / "build" / "images"
RECIPE = HERE / "debian.toml"
MIB = 1024 * 1024
SECTOR = 512
BOOT_CODE = 440
"""Bytes of boot.img that go into the first sector; after them come the disk's identifier and the partition table."""
KERNEL_SECTOR = 0x5C
"""Where boot.img has the sector of core.img (GRUB_BOOT_MACHINE_KERNEL_SECTOR)."""
INITRD_HOOK = (
    "mkdir -p $1/etc/initramfs-tools/conf.d $1/usr/share/initramfs-tools/modules.d"
    " && echo MODULES=list >$1/etc/initramfs-tools/conf.d/small"
    " && printf 'virtio_pci\\nvirtio_blk\\nvirtio_scsi\\nsd_mod\\n' >$1/usr/share/initramfs-tools/modules.d/small"
)
"""Keeps the initrd small: under emulation GRUB reads a few MB a second and the kernel unpacks not many more."""
BLOCK_LIST = 0x1F4
"""Where core.img's first sector has the sector of its second (GRUB_BOOT_MACHINE_LIST_SIZE, diskboot.S)."""


def main() -> int:
    """Entry of `make test-images`"""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="images to build, such as debian-msdos.qcow2; all, if none is given")
    for name in parser.parse_args().names or names():
        print(image(name))
    return 0


def names() -> list[str]:
    """File names of all images"""
    variants = tomllib.loads(RECIPE.read_text())["variants"]
    return [f"debian-{name}.{kind}" for name, layout in variants.items() for kind in layout["formats"]]


def image(name: str) -> Path:
    """The image `name`, built unless it is there"""
    BUILD.mkdir(parents=True, exist_ok=True)
    with locked(BUILD / "lock"):
        stamp = BUILD / "key"
        if not stamp.exists() or stamp.read_text() != key():
            stamp.unlink(missing_ok=True)
            build_all()
            stamp.write_text(key())
    path = BUILD / name
    if not path.exists():
        raise FileNotFoundError(f"There is no image {name}, only {', '.join(names())}")
    return path


def build_all() -> None:
    """Builds every image anew"""
    recipe = tomllib.loads(RECIPE.read_text())
    with tree(recipe, BUILD) as root:
        for variant, layout in recipe["variants"].items():
            raw = BUILD / f"debian-{variant}.raw"
            make_raw(recipe, layout, root, raw)
            if "qcow2" in layout["formats"]:
                make_qcow2(raw, raw.with_suffix(".qcow2"))


def read(disk: Path, path: str, variant: str = "msdos") -> str:
    """A file in the root filesystem of a disk that was made from an image, without mounting it

    Raises:
        FileNotFoundError: there is none
    """
    layout = tomllib.loads(RECIPE.read_text())["variants"][variant]
    start = next(part["start"] for part in layout["partitions"] if part["name"] == "root")
    shown = run(["debugfs", "-R", f"cat {path}", f"{disk}?offset={start * MIB}"])
    if b"File not found" in shown.stderr:
        raise FileNotFoundError(path)
    return shown.text


def key() -> str:
    """Digest of what the images are made from"""
    sources = sorted([RECIPE, Path(__file__)])
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock, so that two builds of one checkout don't meet"""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- the tree -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def tree(recipe: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """The installed system as a folder, deleted in the end"""
    root = folder / "tree"
    shutil.rmtree(root, ignore_errors=True)
    try:
        install(recipe, root)
        settle(recipe, root)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def install(recipe: Mapping[str, Any], root: Path) -> None:
    """Installs Debian's packages into `root`"""
    options = root.with_suffix(".conf")
    options.write_bytes(run(["apt-config", "dump", "Acquire"]).stdout)
    run(
        [
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--aptopt={options}",
            "--dpkgopt=force-unsafe-io",
            f"--essential-hook={INITRD_HOOK}",
            "--include=" + ",".join(recipe["packages"]),
            recipe["suite"],
            str(root),
            *mirrors(recipe["suite"]),
        ],
        timeout=900,
    )
    options.unlink()


def mirrors(suite: str) -> list[str]:
    """Lines of sources.list for `suite`, from where this machine gets Debian's packages"""
    rows = run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI) $(CODENAME)", "Created-By: Packages"])
    lines = set()
    for row in rows.text.splitlines():
        origin, uri, codename = row.split(" ")
        _, dash, pocket = codename.partition("-")
        if origin == "Debian" and pocket in ("", "updates", "security"):
            lines.add(f"deb {uri} {suite}{dash}{pocket} main")
    return sorted(lines) or [f"deb http://deb.debian.org/debian {suite} main"]


def settle(recipe: Mapping[str, Any], root: Path) -> None:
    """Makes of the installed packages the system that an image's author would ship"""
    hostname = recipe["hostname"]
    for path in (root / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    (root / "etc/machine-id").write_text(f"{recipe['machine_id']}\n")
    (root / "etc/hostname").write_text(f"{hostname}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n\n::1\tlocalhost ip6-localhost\n")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    run(["chroot", str(root), "useradd", "--create-home", "--shell", "/bin/bash", "--groups", "sudo", recipe["user"]])
    run(["chroot", str(root), "systemctl", "mask", *recipe["masked"]])
    trigger = "".join(f"ExecStart=udevadm trigger --action=add {words}\n" for words in recipe["coldplug"])
    drop_in = root / "etc/systemd/system/systemd-udev-trigger.service.d/few.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nExecStart=\n{trigger}")
    modules = root / "boot/grub/i386-pc"
    modules.mkdir(parents=True, exist_ok=True)
    for path in [*(root / "usr/lib/grub/i386-pc").glob("*.mod"), *(root / "usr/lib/grub/i386-pc").glob("*.lst")]:
        shutil.copy(path, modules)


# --- one image ------------------------------------------------------------------------------------------------------


def make_raw(recipe: Mapping[str, Any], layout: Mapping[str, Any], root: Path, path: Path) -> None:
    """One variant's raw image at `path`, which appears when it is complete"""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with draft.open("wb") as file:
        file.truncate(layout["size"] * MIB)
    parts = {part["name"]: part for part in layout["partitions"]}
    script = "\n".join([f"label: {layout['table']}", "unit: sectors", *(line(part) for part in layout["partitions"])])
    run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(draft)], input=script.encode())
    install_grub(root, layout, parts, draft)
    configure(recipe, root, "esp" in parts)
    if "esp" in parts:
        esp = parts["esp"]
        volume = recipe["uuids"]["esp"].replace("-", "")
        # mkfs.vfat takes an offset in sectors, and the size in KiB
        offset = f"--offset={esp['start'] * MIB // SECTOR}"
        run(["mkfs.vfat", "-F", "16", "-i", volume, offset, str(draft), str(esp["size"] * 1024)])
    start = parts["root"]["start"]
    # the last MiB stays free: the second header of a GPT is there
    size = f"{layout['size'] - start - 1}M"
    where = f"offset={start * MIB}"
    uuid = recipe["uuids"]["root"]
    run(["mkfs.ext4", "-q", "-F", "-U", uuid, "-E", where, "-d", str(root), str(draft), size], timeout=600)
    draft.rename(path)


def make_qcow2(source: Path, path: Path) -> None:
    """The raw image `source` as qcow2 at `path`, compressed as those that are offered for download"""
    draft = path.with_suffix(".draft")
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(source), str(draft)], timeout=900)
    draft.rename(path)


def line(part: Mapping[str, Any]) -> str:
    """One partition for sfdisk"""
    words = [f"start={part['start'] * MIB // SECTOR}", f"type={part['type']}"]
    if "size" in part:
        words.append(f"size={part['size'] * MIB // SECTOR}")
    if part.get("bootable"):
        words.append("bootable")
    return f"{part['number']} : {', '.join(words)}"


def install_grub(root: Path, layout: Mapping[str, Any], parts: Mapping[str, Any], path: Path) -> None:
    """Boot loader into the image: after the MBR, or into the BIOS boot partition"""
    prefix = f"(,{'gpt' if layout['table'] == 'gpt' else 'msdos'}{parts['root']['number']})/boot/grub"
    modules = ["biosdisk", "ext2", *layout["grub_modules"]]
    run(["chroot", str(root), "grub-mkimage", "-O", "i386-pc", "-p", prefix, "-o", "/boot/grub/core.img", *modules])
    boot = bytearray((root / "usr/lib/grub/i386-pc/boot.img").read_bytes())
    core = bytearray((root / "boot/grub/core.img").read_bytes())
    sector = parts["bios"]["start"] * MIB // SECTOR if "bios" in parts else 1
    struct.pack_into("<Q", boot, KERNEL_SECTOR, sector)
    struct.pack_into("<Q", core, BLOCK_LIST, sector + 1)
    with path.open("r+b") as file:
        file.write(boot[:BOOT_CODE])
        file.seek(sector * SECTOR)
        file.write(core)


def configure(recipe: Mapping[str, Any], root: Path, esp: bool) -> None:
    """fstab and grub.cfg, both by UUID"""
    uuid = recipe["uuids"]["root"]
    fstab = f"UUID={uuid} / ext4 errors=remount-ro 0 1\n"
    if esp:
        fstab += f"UUID={recipe['uuids']['esp']} /boot/efi vfat umask=0077 0 1\n"
        (root / "boot/efi").mkdir(exist_ok=True)
    (root / "etc/fstab").write_text(fstab)
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    version = kernel.name.removeprefix("vmlinuz-")
    (root / "boot/grub/grub.cfg").write_text(
        "set timeout=0\n"
        "serial --unit=0 --speed=115200\n"
        "terminal_output serial\n"
        "menuentry 'Debian GNU/Linux' {\n"
        f"\tsearch --no-floppy --fs-uuid --set=root {uuid}\n"
        f"\tlinux /boot/vmlinuz-{version} root=UUID={uuid} ro console=tty0 console=ttyS0,115200 quiet\n"
        f"\tinitrd /boot/initrd.img-{version}\n"
        "}\n"
    )


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("The images are built as root: the files in them belong to root")
    sys.exit(main())
