"""What is written to the disk, and how its bytes are checked"""

from __future__ import annotations

from helper_host.ganeti import foreign, values
from helper_host.ganeti.parameters.row import SIMPLE, SNF, Alias, Parameter, Rows


class ImageRows(Rows):
    """What is written to the disk, and how its bytes are checked"""

    image = Parameter(
        values.image,
        "",
        "Image: a name in the image store, a path in an allowed folder, an https, http, file or local URL, one of a"
        " scheme that the node has a program for, or none to customise what is on the disk",
        example="debian-12",
        shown="must be given",
        show=values.shown_image,
        aliases={"img_id": Alias(SNF, "debian_base-7.0-x86_64", foreign.img_id)},
    )
    image_format = Parameter(
        values.image_format,
        "auto",
        "Format of the image: auto (by looking at it), raw, qcow2, vmdk, vdi, vhd or vhdx, with +gz, +bz2, +xz or +zst"
        " where it is compressed; diskdump, extdump or ntfsdump as in snf-image",
        example="raw+gz",
        shown="auto",
        aliases={
            "img_format": Alias(SNF, "diskdump", foreign.img_format),
            "image_type": Alias(SIMPLE, "raw+bz2", foreign.image_type),
        },
    )
    partition = Parameter(
        values.partition,
        "",
        "What is put around an image that is one bare filesystem: no, msdos (a partition table with boot code), gpt, or"
        " yes: msdos, and gpt on disks of more than 2 TiB",
        example="yes",
        shown="no; msdos for extdump and ntfsdump",
    )
    image_checksum = Parameter(
        values.image_checksum,
        None,
        "Checksum of the image's file: sha256:HEX, sha512:HEX, or a list that has it (SHA256SUMS): its URL, its path,"
        " or its name next to the image",
        example="sha256:" + "0123456789abcdef" * 4,
        shown="not checked",
        quoted=False,
    )
    image_signature = Parameter(
        values.image_signature,
        None,
        "OpenPGP signature of the list of checksums, or else of the image's file: its URL, its path, or its name next"
        " to what it signs; the keys are in the node's keyrings folder",
        example="SHA256SUMS.asc",
        shown="not checked",
        quoted=False,
    )
    image_description = Parameter(
        values.flag,
        True,
        "Whether the image's own description, in it or beside it in the store, counts: yes or no",
        example="no",
        shown="yes",
    )
