"""The cache's folder: root's own, and what lies where in it

    key              random bytes, by which URLs become names that nobody can turn back (they may hold passwords)
    lock             held while something is removed or comes in
    objects/SHA256   complete files by their content; mode 0400; the access time is that of the last use
    urls/KEY         what a URL had when it was last asked (`records.Reference`)
    parts/KEY.lock   held by the process that fetches the URL
    parts/KEY.state  what it knows of that download (`records.State`)
    parts/KEY.GENERATION.part   the bytes so far; mode 0600, and 0400 once they are all there

Nothing is trusted for its name alone: objects are hashed before each use.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress

from helper_host import trusted
from helper_host.errors import ProviderError

KEY_BYTES = 32
OBJECTS, URLS, PARTS = "objects", "urls", "parts"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (*NO_ROOM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)
"""What keeps a cache from working without anybody having meant harm."""


class Folder:
    """The cache's folder, made where it is missing, and known to be root's own

    Raises:
        ProviderError: E-CACHE, it isn't root's own
        OSError: it can't be made
    """

    def __init__(self, path: str) -> None:
        self.path = path
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)
        self._check(os.lstat(path))
        for name in (OBJECTS, URLS, PARTS):
            if not os.path.isdir(self.at(name)):
                with suppress(FileExistsError):
                    os.mkdir(self.at(name), 0o700)

    @classmethod
    def opened(cls, path: str) -> Folder:
        """The folder; E-CACHE for whatever keeps it from being one"""
        try:
            return cls(path)
        except OSError as error:
            raise unusable(path, error) from None

    def at(self, *names: str) -> str:
        """The path of something in it"""
        return os.path.join(self.path, *names)

    def names(self, folder: str) -> list[str]:
        """What lies in one of its folders, in order"""
        try:
            return sorted(os.listdir(self.at(folder)))
        except FileNotFoundError:
            return []

    def url_key(self, url: str, *, checked: bool) -> str:
        """The name of a URL here

        Args:
            checked: for downloads whose bytes are checked afterwards, and which may be had by less safe ways therefore:
                what they brought is nothing for those that aren't
        """
        import hashlib

        kind = b"checked " if checked else b""
        return hashlib.blake2b(kind + url.encode(), key=self._key(), digest_size=20).hexdigest()

    def anonymous(self) -> int:
        """A descriptor of a file without a name: gone with the last process that has it open"""
        try:
            return os.open(self.path, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
                raise
        # a filesystem that has none
        path = self.at(f"spool.{secrets.token_hex(8)}")
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.unlink(path)
        return fd

    def put(self, name: str, content: bytes, *, durable: bool) -> None:
        """Replace the file `name`, in one step as far as readers can see; one process at a time

        Args:
            durable: it has to outlive a crash of the machine
        """
        path = self.at(name)
        fd = os.open(f"{path}.tmp", os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, content)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(f"{path}.tmp", path)
        if durable:
            self.sync(os.path.dirname(name))

    def read(self, name: str, limit: int = 1 << 16) -> bytes:
        """A small file; empty where there is none"""
        try:
            fd = os.open(self.at(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return b""
        try:
            return os.read(fd, limit)
        finally:
            os.close(fd)

    def sync(self, name: str) -> None:
        """Let what was renamed in that folder outlive a crash of the machine"""
        fd = os.open(self.at(name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _check(self, status: os.stat_result) -> None:
        if stat.S_ISLNK(status.st_mode):
            raise _refused(self.path, "is a symlink", "name the folder itself with cache_folder in the settings")
        if not stat.S_ISDIR(status.st_mode):
            raise _refused(self.path, "is not a folder", "make it one, or correct cache_folder in the settings")
        if status.st_uid != os.geteuid():
            raise _refused(self.path, "does not belong to root", f"remove it, or chown root:root {self.path}")
        if status.st_mode & 0o077:
            raise _refused(self.path, "is open to others than root", f"remove it, or chmod 0700 {self.path}")
        try:
            trusted.check_way(self.path)
        except trusted.Untrusted as error:
            raise _refused(self.path, error.why, error.remedy) from None

    def _key(self) -> bytes:
        key = self.read("key")
        if len(key) != KEY_BYTES:
            fresh = self.at(f"key.{secrets.token_hex(8)}")
            fd = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(fd, secrets.token_bytes(KEY_BYTES))
                os.fsync(fd)
            finally:
                os.close(fd)
            if key:  # damaged: whatever it named is lost, and fetched again
                os.rename(fresh, self.at("key"))
            else:
                # of many who come first, one's key gets the name
                with suppress(FileExistsError):
                    os.link(fresh, self.at("key"))
                os.unlink(fresh)
            key = self.read("key")
        return key


def unusable(path: str, error: OSError) -> ProviderError:
    """E-CACHE for what the kernel says of the folder, or of something in it"""
    remedies = {
        errno.ENOSPC: "make room there, or empty it: ganeti-instance-helper cache prune --all",
        errno.EDQUOT: "make room there, or empty it: ganeti-instance-helper cache prune --all",
        errno.EROFS: "mount it writable, or name another folder with cache_folder in the settings",
    }
    remedy = remedies.get(error.errno or 0, "look at its owner, mode and storage, or name another with cache_folder")
    return ProviderError("E-CACHE", f"The cache {path} can't be used ({error.strerror})", remedy)


def _refused(path: str, why: str, remedy: str) -> ProviderError:
    return ProviderError("E-CACHE", f"The cache {path} {why}", remedy)
