"""Builds the image with cloud-init: the Debian of `debian.py`, with packages more and /var on its own partition

Apart from the others, since only one test file wants it.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

from helper_agent.run import run
from tests.vm.images import debian

RECIPE = Path(__file__).resolve().parent / "cloud.toml"
NAME = "debian-cloud.raw"


def main() -> int:
    """Entry of `make test-images`"""
    print(image())
    return 0


def image() -> Path:
    """The image, built unless it is there"""
    debian.BUILD.mkdir(parents=True, exist_ok=True)
    stamp, path = debian.BUILD / f"{NAME}.key", debian.BUILD / NAME
    with debian.locked(debian.BUILD / f"{NAME}.lock"):
        if not stamp.exists() or stamp.read_text() != key() or not path.exists():
            stamp.unlink(missing_ok=True)
            build(path)
            stamp.write_text(key())
    return path


def key() -> str:
    """Digest of what it is made from"""
    sources = [RECIPE, Path(__file__), debian.RECIPE, Path(debian.__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def recipe() -> dict[str, Any]:
    """Debian's, with what is ours on top"""
    own, base = (tomllib.loads(path.read_text()) for path in (RECIPE, debian.RECIPE))
    return {**base, **own, "packages": base["packages"] + own["packages"], "uuids": base["uuids"] | own["uuids"]}


def offset(name: str) -> int:
    """Where a partition begins, in bytes"""
    start: int = next(part["start"] for part in recipe()["layout"]["partitions"] if part["name"] == name)
    return start * debian.MIB


def build(path: Path) -> None:
    """The image at `path`"""
    wanted = recipe()
    folder = debian.BUILD / f"{NAME}.build"
    folder.mkdir(exist_ok=True)
    with debian.tree(wanted, folder) as root:
        for name, text in wanted["config"].items():
            (root / "etc/cloud/cloud.cfg.d" / name).write_text(text)
        var = folder / "var"
        shutil.rmtree(var, ignore_errors=True)
        (root / "var").rename(var)
        (root / "var").mkdir()
        draft = folder / NAME
        debian.make_raw(wanted, wanted["layout"], root, draft)
        add_var(wanted, var, draft)
        shutil.rmtree(var)
    draft.rename(path)
    folder.rmdir()


def add_var(wanted: dict[str, Any], tree: Path, path: Path) -> None:
    """The filesystem for /var, and its line in the fstab"""
    uuid = wanted["uuids"]["var"]
    size = next(part["size"] for part in wanted["layout"]["partitions"] if part["name"] == "var")
    where = f"offset={offset('var')}"
    run(["mkfs.ext4", "-q", "-F", "-U", uuid, "-E", where, "-d", str(tree), str(path), f"{size}M"], timeout=600)
    root = f"{path}?offset={offset('root')}"
    fstab = path.with_suffix(".fstab")
    fstab.write_text(run(["debugfs", "-R", "cat /etc/fstab", root]).text + f"UUID={uuid} /var ext4 defaults 0 2\n")
    for command in ("rm /etc/fstab", f"write {fstab} /etc/fstab"):
        run(["debugfs", "-w", "-R", command, root])
    fstab.unlink()


if __name__ == "__main__":
    sys.exit(main())
