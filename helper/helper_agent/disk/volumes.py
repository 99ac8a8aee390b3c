"""What lies inside of partitions that are no filesystems: LUKS where there is a passphrase, LVM, one in the other

    volumes = Volumes(run, log)
    filesystems += volumes.open(filesystems, key)

What was opened is closed in reverse by `close`, once nothing of it is mounted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from helper_agent.api import Logger, TaskError
from helper_agent.disk import mapper
from helper_agent.disk.medium import Medium
from helper_agent.disk.signatures import Layer, Signature, probe
from helper_agent.filesystems.base import Run
from helper_agent.run import CommandFailed

DEPTH_MAX = 4
"""Most layers on each other: no installer makes more than two."""
KINDS = ("LVM2_member", "crypto_LUKS")


class Volumes:
    """The volumes that are open, a context manager that closes them"""

    def __init__(self, run: Run, log: Logger) -> None:
        self._run = run
        self._log = log
        self._mappings: list[str] = []
        self._logical: set[str] = set()
        self.problems: list[TaskError] = []
        """Why something was not opened: of no interest where the system is found without it."""
        self.unlocked: list[str] = []
        """Device paths of what the passphrase has opened."""

    def __enter__(self) -> Volumes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Last first; one that is still in use stays, and ends with the VM"""
        mappings, self._mappings = self._mappings[::-1], []
        if mappings:
            try:
                mapper.remove(mappings, self._run)
            except CommandFailed as error:
                self._log.warning(f"A volume could not be closed: {error}")

    def open(self, found: Sequence[Signature], key: str, disk: str) -> list[Signature]:
        """What is in the volumes among `found`, and in those in them

        Args:
            key: the passphrase, "" for none
            disk: disk 0's device path
        """
        inside: list[Signature] = []
        fresh = list(found)
        for _ in range(DEPTH_MAX):
            new: list[Signature] = []
            for one in fresh:
                if one.type == "crypto_LUKS" and key:
                    new += self._attempt(self._unlock, one, key)
            if any(one.type == "LVM2_member" for one in fresh):
                physical = [one for one in (*found, *inside) if one.type == "LVM2_member"]
                new += self._attempt(self._activate, physical, disk)
            if not new:
                break
            inside += new
            fresh = new
        return inside

    def _attempt(self, do: Callable[..., list[Signature]], *arguments: object) -> list[Signature]:
        try:
            return do(*arguments)
        except TaskError as error:
            self._log.warning(f"{error.cause}; it is left out")
            self.problems.append(error)
            return []

    def _unlock(self, one: Signature, key: str) -> list[Signature]:
        from helper_agent.disk import luks

        # A name of our own: the header's UUID is any text
        name = f"helper-luks-{len(self._mappings)}"
        layer = luks.open_volume(one.device, name, key, self._run)
        if layer is None:
            raise TaskError(
                f"The passphrase luks_key is none of the encrypted volume on {one.device}",
                "give one that opens it", code="E-OPTION",
            )  # fmt: skip
        self._mappings.append(name)
        self.unlocked.append(one.device)
        return self._inside(layer, one, (f"/dev/mapper/{name}", f"luks:{one.uuid.lower()}"))

    def _activate(self, physical: Sequence[Signature], disk: str) -> list[Signature]:
        from helper_agent.disk import lvm

        found = [one for one in lvm.volumes(physical, self._run) if one.title not in self._logical]
        chosen = lvm.choose(found, self._log)
        if not chosen:
            return []
        self._logical |= {one.title for one in chosen}
        self._mappings += [one.mapping for one in chosen]
        lvm.activate(chosen, physical, self._run)
        inside: list[Signature] = []
        for one in chosen:
            below = [base for base in physical if base.device in one.on]
            # What the partition's growth will be of use for
            ours = [base for base in below if base.disk == disk] or below
            layer = Layer("lvm", tuple(base.device for base in ours), one.title, mapper.device(one.mapping))
            names = (f"/dev/mapper/{one.mapping}", f"/dev/{one.title}")
            inside += self._inside(layer, ours[0], names)
        return inside

    def _inside(self, layer: Layer, base: Signature, names: tuple[str, ...]) -> list[Signature]:
        with Medium(layer.path) as medium:
            what = probe(medium, 0, medium.size)
        stack = (*base.stack, layer)
        return [Signature(layer.path, *what, "", "", base.disk, base.number, names, stack)] if what else []
