"""Builds the helper image: kernel, initrd, read-only root and manifest, from Debian's packages

Two steps. `base` unpacks the packages and drops what isn't needed; it takes half a minute and its result is kept.
`pack` adds the agent and makes the files; it takes a few seconds and is all that a change to the agent costs. Each is
skipped when the digest of what goes into it is the one of last time.

What goes in is declared in image.toml; this file only does it. Both steps give the same bytes for the same inputs:
times are fixed, everything is sorted, and no identifier is random.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import cpio
import elf
import task_files

from helper_agent.protocol import AGENT_VERSION, PROTOCOL_VERSION

HERE = Path(__file__).resolve().parent
AGENT = HERE.parent / "helper" / "helper_agent"
MANIFEST_FORMAT = 2
EPOCH = "0"
"""The time of every file. Not the environment's SOURCE_DATE_EPOCH: that changes with each commit, these files don't."""
EROFS_UUID = "68656c70-6572-4d69-8d61-676500000001"
"""Fixed, so that two builds are identical; nothing looks the root up by it."""
CLUSTER = 65536
"""Bytes that are unpacked at once; a larger piece packs better, and files are mostly read whole."""
AGENT_PLACE = "usr/lib/helper-agent"
TASKS_PLACE = f"{AGENT_PLACE}/tasks.d"
AGENT_MAIN = f"""import gc, sys
gc.disable()
sys.path.insert(0, "/{AGENT_PLACE}")
import bundle
bundle.use()
from helper_agent.agent import main
main()
"""
"""Few lines, because Python never caches what it compiles for a script. One run leaves no garbage in cycles that is
worth collecting, and looking for it takes a tenth of the imports' time until `hello`. A script rather than a folder
with a `__main__.py`, for which Python imports runpy and another 20 modules first."""
COMPILE = (
    *("/usr/bin/python3", "-I", "-S", "-m", "compileall", "-q"),
    "--invalidation-mode=unchecked-hash",  # neither a time in the file nor a look at the source when it's imported
)
"""Compiles with the image's own Python: another version's would be ignored."""
PROGRAM_PLACES = ("usr/bin", "usr/sbin")
LIBRARY_PLACE = "usr/lib/x86_64-linux-gnu"


class Build(NamedTuple):
    """One build: what to make and where"""

    suite: str
    output: Path
    recipe: dict[str, Any]
    tasks: task_files.Tasks

    @property
    def base(self) -> Path:
        """Folder of the pruned root without the agent, and of what else `pack` needs"""
        return self.output / "base"


def main() -> int:
    """Entry of `make helper-image`"""
    # modes are part of the image, and the jail's user must be able to read its kernel
    os.umask(0o022)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", default="bookworm", help="Debian release of the programs")
    parser.add_argument("--output", type=Path, required=True, help="folder for the image and what is kept")
    parser.add_argument("--tasks", type=Path, action="append", default=[], help="folder of tasks to put in; repeatable")
    arguments = parser.parse_args()
    recipe = tomllib.loads((HERE / "image.toml").read_text())
    # first of all: an author's mistake is told at once
    tasks = task_files.read(arguments.tasks)
    build = Build(arguments.suite, arguments.output.resolve(), recipe, tasks)
    if os.geteuid() != 0:
        print("E: The helper image is built as root: the files in it belong to root", file=sys.stderr)
        return 1
    build.output.mkdir(parents=True, exist_ok=True)
    with (build.output / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base_key = digest([build.suite, *sources(HERE)])
        once(build.output / "base.key", base_key, lambda: make_base(build))
        inputs = [base_key, *sources(AGENT), *build.tasks.inputs]
        once(build.output / "pack.key", digest(inputs), lambda: pack(build))
    return 0


def once(stamp: Path, key: str, step: Callable[[], None]) -> None:
    """Runs `step` unless it has already been run for `key`"""
    if stamp.exists() and stamp.read_text() == key:
        return
    stamp.unlink(missing_ok=True)
    step()
    stamp.write_text(key)


def sources(folder: Path) -> list[str]:
    """Names and contents of the source files in `folder`"""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]


def digest(items: Iterable[str]) -> str:
    """One digest over `items`"""
    return hashlib.sha256("\0".join(items).encode()).hexdigest()


# --- base: packages to a pruned root --------------------------------------------------------------------------------


def make_base(build: Build) -> None:
    """Unpacks the packages, picks kernel and modules, drops the rest"""
    shutil.rmtree(build.base, ignore_errors=True)
    root = build.base / "root"
    build.base.mkdir(parents=True)
    packages = unpack(build, root)
    kernel = only(root.glob("usr/lib/modules/*")).name
    (build.base / "facts.json").write_text(json.dumps({"kernel": kernel, "packages": packages}))
    shutil.copyfile(root / f"boot/vmlinuz-{kernel}", build.base / "vmlinuz")
    run("gcc", "-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror", "-o", build.base / "init", HERE / "init.c")
    pick_modules(build, root / "usr/lib/modules" / kernel)
    prune(root, build.recipe["prune"])
    run("chroot", root, "depmod", kernel)  # for the modules that are left
    keep_programs(root, build.recipe["programs"])
    link_applets(root, build.recipe["applets"])
    drop_libraries(root)
    settle(root)
    remove(root / "dev")  # the helper mounts a devtmpfs; device nodes in a build folder are traps for whoever copies it
    (root / "dev").mkdir()
    compile_all(root, "/usr/lib/python3", *(f"/usr/lib/{path.name}" for path in root.glob("usr/lib/python3.*")))


def unpack(build: Build, root: Path) -> dict[str, str]:
    """Unpacks the packages and what they depend on into `root`; the versions by name"""
    options = build.base / "apt.conf"
    options.write_text(run("apt-config", "dump", "Acquire"))
    run(
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=extract",
        "--architectures=amd64",
        "--skip=cleanup/apt",  # the packages' files tell their versions
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        f"--aptopt={options}",
        "--include=" + ",".join([build.recipe["kernel"]["package"], *build.recipe["packages"]]),
        build.suite,
        root,
        *mirrors({build.suite, build.recipe["kernel"]["suite"]}),
    )
    archives = sorted((root / "var/cache/apt/archives").glob("*.deb"))
    return dict(run("dpkg-deb", "--show", "--showformat=${Package} ${Version}", path).split(" ") for path in archives)


def mirrors(suites: Collection[str]) -> list[str]:
    """Lines of sources.list for `suites`, from where this machine has Debian's packages"""
    rows = run("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI) $(CODENAME)", "Created-By: Packages")
    lines = []
    for row in rows.splitlines():
        origin, _, place = row.partition(" ")
        uri, _, codename = place.rpartition(" ")
        _, dash, pocket = codename.partition("-")
        if origin == "Debian" and pocket in ("", "updates", "security"):
            lines += [f"deb {uri} {suite}{dash}{pocket} main" for suite in suites]
    if not lines:
        raise SystemExit("E: apt knows no Debian mirror; run `apt-get update` first")
    return sorted(set(lines))


def pick_modules(build: Build, folder: Path) -> None:
    """Puts the initrd's modules into the base folder, in the order to load them, and keeps the root's only"""
    run("chroot", folder.parents[3], "depmod", folder.name)
    wanted = build.recipe["modules"]
    order = load_order(folder / "modules.dep")
    kept = {path for name in wanted["root"] for path in order(name)}
    loaded: list[str] = []
    for group in ("boot", "pci"):
        place = build.base / "modules" / group
        place.mkdir(parents=True)
        fresh = [path for name in wanted[group] for path in order(name)]
        fresh = [path for path in dict.fromkeys(fresh) if path not in loaded]
        loaded += fresh
        for number, name in enumerate(fresh):
            strip_module(folder / name, place / f"{number:02}-{Path(name).name}")
    for path in sorted(folder.rglob("*.ko*")):
        if str(path.relative_to(folder)) in kept:
            strip_module(path, path)
        else:
            path.unlink()


def load_order(modules_dep: Path) -> Callable[[str], list[str]]:
    """A function from a module's name to the paths to load, dependencies first"""
    paths = {}
    for line in modules_dep.read_text().splitlines():
        path, _, needs = line.partition(":")
        paths[Path(path).name.partition(".")[0].replace("-", "_")] = [*reversed(needs.split()), path]

    def order(name: str) -> list[str]:
        return paths[name.replace("-", "_")]

    return order


def strip_module(source: Path, target: Path) -> None:
    """Copies a module without debug information

    That takes the signature off too: the kernel then notes a taint instead of hashing the whole module under emulation.
    The manifest's digests are what vouches for the image. BTF would be parsed at each load and is for tracing.
    """
    run("objcopy", "--strip-debug", "--remove-section=.BTF", source, target)


def prune(root: Path, globs: Sequence[str]) -> None:
    """Deletes what the globs match"""
    for glob in globs:
        for path in list(root.glob(glob)):
            remove(path)


def keep_programs(root: Path, globs: Sequence[str]) -> None:
    """Deletes every program whose name no glob matches"""
    for place in PROGRAM_PLACES:
        for path in (root / place).iterdir():
            if not any(fnmatch(path.name, glob) for glob in globs):
                remove(path)


def link_applets(root: Path, names: Collection[str]) -> None:
    """Links busybox under each of `names` that no program has"""
    known = run("chroot", root, "/bin/busybox", "--list").split()
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"E: busybox has no {', '.join(unknown)}")
    for name in names:
        if not any((root / place / name).exists() for place in PROGRAM_PLACES):
            (root / PROGRAM_PLACES[0] / name).symlink_to("busybox")


def drop_libraries(root: Path) -> None:
    """Deletes every shared library that neither a program nor a Python extension needs"""
    place = root / LIBRARY_PLACE
    users = [path for folder in PROGRAM_PLACES for path in (root / folder).iterdir() if path.is_file()]
    users += root.glob("usr/lib/python3*/**/*.so")
    needed: set[str] = set()
    queue = [name for path in users for name in elf.needed(path.read_bytes())]
    queue += ["libudev.so.1", "libgcc_s.so.1"]  # loaded by name: pyudev by ctypes, libgcc_s by pthread_cancel
    while queue:
        name = queue.pop()
        if name not in needed and (place / name).exists():
            needed |= {name, (place / name).resolve().name}
            queue += elf.needed((place / name).read_bytes())
    for path in place.iterdir():
        if path.name not in needed and not path.name.startswith("ld-linux-x86-64.so"):
            remove(path)


def settle(root: Path) -> None:
    """Makes the few files and mount points a system needs"""
    for name in ("dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/mtab").symlink_to("/proc/self/mounts")
    (root / "bin/sh").symlink_to("busybox")
    run("ldconfig", "-r", root)
    remove(root / "var")


def compile_all(root: Path, *folders: str) -> None:
    """Compiles Python's own modules and drops their sources"""
    run("chroot", root, *COMPILE, "-b", *folders)
    for folder in folders:
        for path in list((root / folder.lstrip("/")).rglob("*.py")):
            path.unlink()


# --- pack: the root and the agent to the image's files --------------------------------------------------------------


def pack(build: Build) -> None:
    """Makes the image's files and the manifest"""
    facts = json.loads((build.base / "facts.json").read_text())
    stage = build.output / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    run("cp", "-a", "--reflink=auto", build.base / "root", stage)
    add_agent(stage)
    add_tasks(stage, build.tasks)
    fresh = build.output / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    make_root(build, stage, fresh / "root.erofs")
    (fresh / "initrd.img").write_bytes(initrd(build.base))
    shutil.copyfile(build.base / "vmlinuz", fresh / "vmlinuz")
    manifest = {
        "format": MANIFEST_FORMAT,
        "suite": build.suite,
        "kernel": facts["kernel"],
        "agent": AGENT_VERSION,
        "protocol": PROTOCOL_VERSION,
        # so that the node knows a wrong name or value before it writes anything
        "tasks": list(build.tasks.rows),
        "packages": facts["packages"],
        "files": {path.name: describe(path) for path in sorted(fresh.iterdir())},
    }
    (fresh / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    for name in ("vmlinuz", "initrd.img", "root.erofs", "manifest.json"):
        (fresh / name).replace(build.output / name)
    shutil.rmtree(stage)
    fresh.rmdir()


def make_root(build: Build, stage: Path, target: Path) -> None:
    """Makes the read-only root from the folder `stage`"""
    rows = [f"0 {regex}" for regex in build.recipe["stored"]]
    hints = build.output / "hints"
    hints.write_text("\n".join([*rows, f"{CLUSTER} .*", ""]))  # the first that matches counts
    compression = ("-zlz4hc", f"-C{CLUSTER}", f"--compress-hints={hints}")
    same = (f"-T{EPOCH}", f"-U{EROFS_UUID}", "-x-1", "--all-root")  # -x-1: no extended attributes
    run("mkfs.erofs", "--quiet", *compression, *same, target, stage)
    hints.unlink()


def add_agent(root: Path) -> None:
    """Puts the agent into `root`, compiled ahead"""
    place = root / AGENT_PLACE
    shutil.copytree(AGENT, place / AGENT.name, ignore=shutil.ignore_patterns("__pycache__", "__main__.py"))
    (place / "main.py").write_text(AGENT_MAIN)
    shutil.copyfile(HERE / "bundle.py", place / "bundle.py")
    run("chroot", root, *COMPILE, f"/{AGENT_PLACE}/{AGENT.name}", f"/{AGENT_PLACE}/bundle.py")
    run("chroot", root, "/usr/bin/python3", "-I", "-S", "-B", f"/{AGENT_PLACE}/bundle.py")


def add_tasks(root: Path, tasks: task_files.Tasks) -> None:
    """Puts the tasks that are none of ours into `root`, and the list that the agent knows them by"""
    if not tasks.contents:
        return
    place = root / TASKS_PLACE
    place.mkdir()
    for name, content in tasks.contents.items():
        (place / name).write_bytes(content)
    (place / "index.json").write_text(json.dumps(tasks.index, indent=2, sort_keys=True) + "\n")


def initrd(base: Path) -> bytes:
    """The initrd, uncompressed: the init and the modules it loads"""
    folders = ("dev", "modules", "modules/boot", "modules/pci", "proc", "root", "sys")
    entries = [cpio.folder(name) for name in folders]
    entries.append(cpio.file("init", (base / "init").read_bytes(), 0o755))
    entries += [
        cpio.file(str(path.relative_to(base)), path.read_bytes()) for path in sorted((base / "modules").glob("*/*"))
    ]
    return cpio.archive(entries)


def describe(path: Path) -> dict[str, Any]:
    """A file's row in the manifest"""
    data = path.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


# --- small things ---------------------------------------------------------------------------------------------------


def run(*argv: str | Path) -> str:
    """Runs a command and gives what it printed; ends the build if it fails"""
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": EPOCH,
        "PYTHONHASHSEED": "0",  # the order of sets in compiled constants
    }
    words = [str(word) for word in argv]
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"E: {shlex.join(words)} failed with exit code {done.returncode}:\n{done.stderr}{done.stdout}")
    return done.stdout


def only(paths: Iterable[Path]) -> Path:
    """The only path of `paths`"""
    (path,) = paths
    return path


def remove(path: Path) -> None:
    """Deletes a file, a link or a whole folder"""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
