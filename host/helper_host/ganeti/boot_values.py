"""Parsers of the OS parameters about booting; see `values`"""

from __future__ import annotations

import re

from helper_host.ganeti.values import FLAGS, Invalid

ARGUMENT = re.compile(r"[+-]?[A-Za-z0-9_][A-Za-z0-9_.,:=+/@%^~\[\]()!?*-]*")
"""What no boot loader and no shell that reads their settings takes for something else than itself."""
PORT = re.compile(r"(tty(S|USB|AMA)\d{1,2}|hvc\d)(,\d{3,7}[noe]?[78]?r?)?", re.ASCII)


def kernel_args(text: str) -> tuple[str, ...]:
    """Arguments of the kernel, each with + or - in front or without, separated by blanks"""
    words = tuple(text.split())
    for word in words:
        if not ARGUMENT.fullmatch(word):
            raise Invalid(
                f"has the argument '{word}', which boot loaders' files can't take as it is",
                "use letters, digits and _ . , : = + / @ % - without quotes, separated by blanks",
            )
    return words


def serial_console(text: str) -> str:
    """ "auto" for yes, "" for no, or a console as the kernel names it"""
    flag = FLAGS.get(text.strip().lower())
    if flag is not None:
        return "auto" if flag else ""
    # Ganeti's command line takes a comma for the end of the parameter
    port = re.sub(r"[ :]", ",", text.strip())
    if not PORT.fullmatch(port):
        raise Invalid("is no serial console", "give yes, no, or one as the kernel names it, such as ttyS0:115200")
    return port
