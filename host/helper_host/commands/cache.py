"""ganeti-instance-helper cache: what downloads are kept on this node, whether they are whole, and away with them"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from helper_host import settings
from helper_host.commands import main as script
from helper_host.log import Log, printable
from helper_host.monitor import Monitor

if TYPE_CHECKING:
    from helper_host.image.cache.spec import CacheSpec

MIB = 1 << 20
DAY, HOUR, MINUTE = 86400, 3600, 60
DAYS_MAX = 36500


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0, 1 after an error (whose line is then the last one on stderr) or for damaged copies, 2 usage"""
    try:
        asked = _parser().parse_args(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 2
    code = 0

    def command() -> None:
        nonlocal code
        from helper_host.commands.tool import reader_may_leave

        with reader_may_leave():
            code = COMMANDS[asked.command](asked, _spec(asked.variant))

    return script.guarded_call("cache", command) or code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ganeti-instance-helper cache", description="The cache of downloaded images")
    parser.add_argument("--variant", default="", help="with the settings of this variant")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | prune | verify")
    commands.add_parser("list", help="what is there: bytes, last use, content, where it is from")
    prune = commands.add_parser("prune", help="remove what is more than the settings allow, and leftovers")
    which = prune.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="all that isn't in use")
    which.add_argument("--older-than", type=_days, metavar="DAYS", help="what was not used for so long")
    commands.add_parser("verify", help="read everything, and remove what is damaged; the exit code is 1 then")
    return parser


def _days(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= DAYS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days, 0 or more")
    return value


def _spec(variant: str) -> CacheSpec:
    from helper_host.image.cache.spec import CacheSpec

    loaded = settings.load(variant)
    return CacheSpec(loaded.cache_folder, loaded.cache_size_mib * MIB, loaded.cache_max_age, loaded.cache_stale)


def _list(_asked: argparse.Namespace, spec: CacheSpec) -> int:
    from helper_host.image.cache import listing
    from helper_host.image.cache.folder import Folder

    if not os.path.lexists(spec.folder):
        print("nothing is kept")
        return 0
    folder = Folder.opened(spec.folder)
    now = time.time()
    copies = listing.copies(folder)
    for copy in copies:
        urls = ", ".join(copy.shown) or "(no URL has it any more)"
        age = f"fetched {_ago(now - copy.fetched)}, used {_ago(now - copy.used)}"
        print(printable(f"{_mib(copy.size)}  {age}  sha256:{copy.sha256[:16]}  {urls}"))
    for part in listing.partials(folder):
        total = f" of {part.total / MIB:.1f}" if part.total >= 0 else ""
        who = f"process {part.pid} fetches it" if part.pid else f"left {_ago(now - part.changed)}"
        print(printable(f"{_mib(part.size)}{total}  partial, {who}  {part.shown}"))
    size = sum(copy.size for copy in copies)
    bound = f"{spec.size / MIB:.0f} MiB are allowed" if spec.size else "nothing is kept from now on"
    print(f"{len(copies)} complete, {size / MIB:.1f} MiB in all; {bound}")
    return 0


def _prune(asked: argparse.Namespace, spec: CacheSpec) -> int:
    from helper_host.image.cache.pruning import prune

    if not os.path.lexists(spec.folder):
        print("nothing is kept")
        return 0
    # where nothing is kept any more, what was kept before goes
    done = prune(spec, everything=asked.all or not spec.size, older_than=asked.older_than)
    in_use = f"; {done.in_use} more are in use" if done.in_use else ""
    print(
        f"{done.removed} removed, {done.size / MIB:.1f} MiB; {done.left} left, {done.left_size / MIB:.1f} MiB{in_use}"
    )
    return 0


def _verify(_asked: argparse.Namespace, spec: CacheSpec) -> int:
    from helper_host.image.cache.verifying import verify

    if not os.path.lexists(spec.folder):
        print("nothing is kept")
        return 0
    with contextlib.closing(Monitor(Log())) as monitor:
        found = verify(spec.folder, lambda done, total: monitor.progress("verifying", done, total))
    for copy in found.damaged:
        urls = ", ".join(copy.shown) or "(no URL has it any more)"
        print(printable(f"damaged, and removed: sha256:{copy.sha256}  {urls}"))
    damaged = f", {len(found.damaged)} damaged: look at the storage of {spec.folder}" if found.damaged else ""
    print(f"{found.intact} in order, {found.size / MIB:.1f} MiB{damaged}")
    return 1 if found.damaged else 0


def _mib(size: int) -> str:
    return f"{size / MIB:10.1f} MiB"


def _ago(seconds: float) -> str:
    for length, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name} ago"
    return "just now" if seconds < 2 else f"{seconds:.0f} s ago"


COMMANDS: Mapping[str, Callable[[argparse.Namespace, CacheSpec], int]] = {
    "list": _list,
    "prune": _prune,
    "verify": _verify,
}
