"""A seed for cloud-init as an ISO 9660 image: data source NoCloud, volume `cidata`

https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html. It is made in memory, travels in the job,
and the helper puts it onto a disk; the node writes nothing of it.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping

VOLUME = "cidata"
APPLICATION = "GANETI-INSTANCE-HELPER"
"""By this and the instance's UUID the helper, and the instance after its first boot, knows a seed of ours."""


def make(files: Mapping[str, bytes], identity: str) -> bytes:
    """The image, its files readable for root alone where the reader goes by their modes"""
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(
        interchange_level=3,
        joliet=3,
        rock_ridge="1.09",
        vol_ident=VOLUME,
        app_ident_str=f"{APPLICATION} {identity.upper()}",
    )
    for number, (name, content) in enumerate(files.items()):
        iso.add_fp(
            io.BytesIO(content),
            len(content),
            f"/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
            file_mode=0o100400,
        )
    image = io.BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()


def packed(image: bytes) -> bytes:
    """`image` as a task's option: nearly all of it is zeros"""
    return zlib.compress(image, 9)
