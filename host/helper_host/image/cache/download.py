"""A URL's file by way of the cache: a copy that is current, or the download that is under way, or one of our own"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from helper_host.image.cache import following, locks, objects, records
from helper_host.image.cache.folder import OBJECTS, PARTS, UNWRITABLE, Folder, unusable
from helper_host.image.cache.following import Following
from helper_host.image.cache.leader import Leader
from helper_host.image.cache.records import Reference, State
from helper_host.image.cache.wanted import Wanted
from helper_host.image.content import Content

if TYPE_CHECKING:
    from helper_host.image.integrity.base import Integrity
    from helper_host.image.sources.base import Places

POLL_SECONDS = 0.02
HOUR = 3600


def open_download(url: str, places: Places, integrity: Integrity) -> Content:
    """The file that the URL has now, or had at most `cache_max_age` seconds ago

    A copy with the right SHA-256, if that is known, needs no network. What the cache can't keep is used as it comes,
    with a warning.

    Raises:
        ProviderError: E-IMAGE-FETCH, E-CACHE, E-INTERRUPTED
    """
    wanted = Wanted(url, places, integrity)
    try:
        return _Search(Folder(places.cache.folder), wanted).content()
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise unusable(places.cache.folder, error) from None
        return wanted.direct(f"{places.cache.folder} can't be used ({error.strerror})")


class _Search:
    """For one deployment"""

    def __init__(self, folder: Folder, wanted: Wanted) -> None:
        self._folder, self._wanted = folder, wanted
        self._spec = wanted.places.cache
        self._warn = wanted.places.warn
        self._key = folder.url_key(wanted.url, checked=wanted.checked)
        self._since = time.monotonic()

    def content(self) -> Content:
        """See open_download; OSError where the folder can't be used"""
        if self._wanted.integrity.sha256 and (kept := self._kept(self._wanted.integrity.sha256)):
            return kept
        while True:
            reference = self._reference()
            state = records.load_state(self._folder, self._key)
            if reference is not None and (self._is_young(reference) or self._is_new(state, records.CURRENT)):
                kept = self._kept(reference.sha256)
                if kept is not None:
                    return kept
                reference = None
            lock = locks.try_lock(self._lock_path)
            found = self._lead(lock) if lock is not None else self._follow(state)
            if found is not None:
                return found

    # --- copies -----------------------------------------------------------------------------------------------------

    def _reference(self) -> Reference | None:
        """What the URL had, if that may be what is wanted"""
        reference = records.load_reference(self._folder, self._key)
        if reference is None or self._wanted.integrity.sha256 not in ("", reference.sha256):
            return None
        return reference

    def _is_young(self, reference: Reference) -> bool:
        # a clock that was set back must not make it young for ever
        return 0 <= time.time() - reference.checked < self._spec.max_age

    def _is_new(self, state: State | None, phase: str) -> bool:
        """Whether that became known while we have been looking"""
        return state is not None and state.phase == phase and state.when >= self._since

    def _kept(self, sha256: str) -> Content | None:
        fd = objects.take(self._folder, sha256, self._warn)
        return None if fd is None else objects.Kept(fd, self._wanted.shown, self._wanted.file_name, sha256)

    # --- downloads --------------------------------------------------------------------------------------------------

    @property
    def _lock_path(self) -> str:
        return self._folder.at(PARTS, f"{self._key}.lock")

    def _lead(self, lock: int) -> Content | None:
        """Ask the server; None: look again"""
        reference = self._reference()
        if reference is not None and not os.path.exists(self._folder.at(OBJECTS, reference.sha256)):
            reference = None
        # what was not so before we had the lock may be so now
        if reference is not None and self._is_new(records.load_state(self._folder, self._key), records.CURRENT):
            locks.release(self._lock_path, lock)
            return None
        leader = Leader(self._folder, self._key, lock, self._wanted, reference)
        content: Content | None = None
        try:
            content = self._answer(leader)
            return content
        finally:
            if not isinstance(content, Following):
                leader.stop()

    def _answer(self, leader: Leader) -> Content | None:
        state = leader.answered()
        if leader.error is not None:
            raise leader.error
        if state.phase == records.FAILED:
            return self._failed(state)
        if state.phase == records.FULL:
            return self._wanted.direct(state.cause)
        fd = leader.take_reader()
        return self._following(fd, state, leader) if fd >= 0 else None

    def _follow(self, state: State | None) -> Content | None:
        """Somebody else holds the lock; None: look again"""
        if state is not None and self._is_new(state, records.FAILED):
            return self._failed(state)
        if state is not None and self._is_new(state, records.FULL):
            return self._wanted.direct(state.cause)
        if state is not None and state.phase in (records.RUNNING, records.ENDED):
            fd = objects.open_used(self._folder.at(PARTS, f"{self._key}.{state.generation}.part"))
            if fd is not None:
                return self._following(fd, state, None)
        if time.monotonic() - max(self._since, state.when if state is not None else 0.0) > following.STUCK_SECONDS:
            return self._wanted.direct(following.HANGS)
        time.sleep(POLL_SECONDS)
        return None

    def _following(self, fd: int, state: State, leader: Leader | None) -> Content:
        return Following(
            self._folder,
            self._key,
            fd,
            self._wanted,
            state=state,
            leader=leader,
            since=self._since,
            again=lambda: open_download(*self._wanted),
        )

    def _failed(self, state: State) -> Content:
        """The server can't be had"""
        reference = self._reference() if self._spec.stale else None
        kept = self._kept(reference.sha256) if reference is not None else None
        if reference is None or kept is None:
            raise self._wanted.failed(state.cause, state.remedy)
        hours = (time.time() - reference.checked) / HOUR
        self._warn(
            f"{self._wanted.shown} {state.cause}: cache_stale lets a copy be used "
            f"that was its server's {hours:.1f} hours ago"
        )
        return kept
