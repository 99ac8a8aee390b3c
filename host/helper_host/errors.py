"""What can go wrong on the node side, as codes for people

Ganeti shows its user the last 20 lines of our log, so an error ends in one line, `E-CODE: cause; what to do`.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "E-PARAMETER": "A value of an OS parameter is not valid",
    "E-SETTINGS": "The settings file or a variant's file is not valid",
    "E-TASKS": "A task's file on the node is not valid, or tasks don't fit together",
    "E-ENVIRONMENT": "The script was not called as Ganeti calls it",
    "E-IMAGE-MISSING": "The image does not exist, or may not be used from where it is",
    "E-IMAGE-REFUSED": "The image's file is not what it claims to be, or is dangerous to read",
    "E-IMAGE-FETCH": "The image could not be fetched from where it is",
    "E-IMAGE-CHECKSUM": "The image's bytes do not match the checksum that was given, or there is none for it",
    "E-IMAGE-SIGNATURE": "The image, or its list of checksums, has no signature that holds",
    "E-IMAGE-UNVERIFIED": "This node takes no image without a checksum or a signature",
    "E-CACHE": "The download cache can't be used",
    "E-CONFIG-URL": "The parameters behind config_url could not be fetched, or are none",
    "E-DOCUMENT": "What an OS parameter names by URL could not be fetched, or is not what was meant",
    "E-CUSTOM-TASK": "The custom task could not be fetched, or is not the one that was meant, or is none",
    "E-DISK-SMALL": "The instance's disk is smaller than the image",
    "E-DISK-BUSY": "The instance's disk is in use",
    "E-DISK-IO": "The instance's disk could not be opened, read or written",
    "E-STREAM": "The stream to import or export broke or is not one that fits this disk",
    "E-HELPER-IMAGE": "The helper image is missing, damaged or of another version",
    "E-VM-START": "The helper VM could not be started",
    "E-VM-SILENT": "The helper VM stopped talking",
    "E-VM-TIMEOUT": "The helper VM took longer than allowed",
    "E-VM-DIED": "The helper VM ended before it was done",
    "E-VM-PROTOCOL": "The helper VM broke the protocol: whatever it says is not to be trusted",
    "E-HOOK": "A hook on the node failed, or may not be run",
    "E-BUSY": "Another deployment of this instance is under way",
    "E-INTERRUPTED": "The deployment was interrupted by a signal",
    "E-NODE": "The node lacks something: space, memory, a program",
    "E-INTERNAL": "A defect in ganeti-instance-helper",
}
"""Codes of the node side and what each means; the guest's are `helper_agent.protocol.FAILURES`."""


class ProviderError(Exception):
    """A failure with a code, a cause and a remedy; `str()` is the log's last line

    `cause` says what happened to what, `remedy` what to do; both without a full stop at the end and without a newline,
    and never with the value of a secret parameter.
    """

    def __init__(self, code: str, cause: str, remedy: str) -> None:
        super().__init__(f"{code}: {cause}; {remedy}")
        self.code = code
        self.cause = cause
        self.remedy = remedy
