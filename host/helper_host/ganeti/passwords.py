"""Password hashes by libcrypt (crypt(3)), which every Debian has; Python's own crypt module is going away

The functions used are the thread-safe ones, with memory of their own.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Mapping

from helper_host.errors import ProviderError

LIBRARY = "libcrypt.so.1"
DATA_SIZE = 32768
"""sizeof(struct crypt_data)."""
SETTING_SIZE = 192
"""CRYPT_GENSALT_OUTPUT_SIZE."""
METHODS = ("$y$", "$6$")
"""yescrypt and sha512crypt, in order of preference: the image takes the first that its libcrypt knows."""
NAMED: Mapping[str, str] = {"md5": "$1$", "sha1": "$sha1", "blowfish": "$2b$", "sha256": "$5$", "sha512": "$6$"}
"""snf-image's names of methods (PASSWD_HASHING_METHOD) -> prefix (crypt(5)). sha1 is NetBSD's; of Linux' libraries only
libxcrypt knows it, when it was built with all methods."""
COSTS: Mapping[str, int] = {"$2b$": 10}
"""Where libcrypt's own default is too cheap: bcrypt's is 5."""
SALT_BYTES = 16


def hashes(password: str, method: str = "") -> tuple[str, ...]:
    """`password` hashed by each of `METHODS`, some 50 ms each, or by the one method of `NAMED`

    Raises:
        ProviderError: E-NODE
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise ProviderError("E-NODE", f"{LIBRARY} is missing", "install libcrypt1") from None
    library.crypt_gensalt_rn.restype = ctypes.c_char_p
    library.crypt_gensalt_rn.argtypes = [
        ctypes.c_char_p,
        ctypes.c_ulong,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_int,
    ]
    library.crypt_rn.restype = ctypes.c_char_p
    library.crypt_rn.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
    wanted = (NAMED[method],) if method else METHODS
    return tuple(_hash(library, password.encode(), prefix) for prefix in wanted)


def _hash(library: ctypes.CDLL, password: bytes, method: str) -> str:
    setting = ctypes.create_string_buffer(SETTING_SIZE)
    salt = secrets.token_bytes(SALT_BYTES)
    made = library.crypt_gensalt_rn(method.encode(), COSTS.get(method, 0), salt, len(salt), setting, SETTING_SIZE)
    data = ctypes.create_string_buffer(DATA_SIZE)
    result: bytes | None = library.crypt_rn(password, setting.value, data, DATA_SIZE) if made else None
    ctypes.memset(data, 0, DATA_SIZE)
    # a failure is a null pointer or, where the setting is not known, a text that begins with a star (crypt(3))
    if not result or not result.startswith(method.encode()):
        raise ProviderError("E-NODE", f"{LIBRARY} can't make hashes of the kind {method}", "install a newer libcrypt1")
    return result.decode("ascii")
