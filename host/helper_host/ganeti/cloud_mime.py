"""Several pieces of user data as one: MIME, as cloud-init reads it

https://cloudinit.readthedocs.io/en/latest/explanation/format.html#mime-multi-part-archive. Each piece is what it would
be alone; one that is MIME itself, or packed with gzip, is unpacked by cloud-init.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import Message
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

GZIP = b"\x1f\x8b"
BOUNDARY = "ganeti-instance-helper-part"
"""Lines of it in a piece can't be taken for it: pieces are in base64."""
KINDS = {
    "#cloud-config-archive": "cloud-config-archive",
    "#cloud-config-jsonp": "cloud-config-jsonp",
    "#cloud-config": "cloud-config",
    "#cloud-boothook": "cloud-boothook",
    "#include-once": "x-include-once-url",
    "#include": "x-include-url",
    "#part-handler": "part-handler",
    "#upstart-job": "upstart-job",
    "## template: jinja": "jinja2",
    "#!": "x-shellscript",
}
"""What a piece begins with, in any case -> its type below text/."""
MESSAGE = ("content-type:", "mime-version:")


def kind(content: bytes) -> str:
    """Which of `KINDS`, "gzip" or "message" a piece is, "" for nothing that cloud-init knows"""
    head = content[:80].decode("latin-1").lstrip().lower()
    if content.startswith(GZIP):
        return "gzip"
    if head.startswith(MESSAGE):
        return "message"
    return next((KINDS[start] for start in KINDS if head.startswith(start)), "")


def combined(pieces: Sequence[bytes]) -> bytes:
    """One piece as it is, several in their order as one message; the same pieces make the same message"""
    if len(pieces) < 2:
        return b"".join(pieces)
    message = MIMEMultipart(boundary=BOUNDARY)
    for number, content in enumerate(pieces, 1):
        part = _part(content)
        part.add_header("Content-Disposition", "attachment", filename=f"part-{number:03}")
        message.attach(part)
    return message.as_bytes()


def _part(content: bytes) -> Message:
    match kind(content):
        case "gzip":
            return MIMEApplication(content, "x-gzip")
        case "message":
            return _message(content)
        case found:
            try:
                return MIMEText(content.decode(), found, "utf-8")
            except UnicodeDecodeError:
                part = MIMEBase("text", found)
                part.set_payload(content)
                from email.encoders import encode_base64

                encode_base64(part)
                return part


def _message(content: bytes) -> Message:
    """A piece that is a message: its parts are parts of ours, nested"""
    from email import message_from_bytes

    found = message_from_bytes(content)
    # two levels with one boundary would end each other
    if found.is_multipart() and found.get_boundary() == BOUNDARY:
        found.set_boundary(f"{BOUNDARY}-inner")
    for name in ("Content-Disposition", "MIME-Version"):
        del found[name]
    return found
