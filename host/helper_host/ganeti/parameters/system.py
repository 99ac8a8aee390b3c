"""What the system is, and what it is called"""

from __future__ import annotations

from helper_host.documents import Document
from helper_host.ganeti import system_values, values
from helper_host.ganeti.parameters.row import Parameter, Rows


class SystemRows(Rows):
    """What the system is, and what it is called"""

    os_family = Parameter(
        values.os_family, "", "Family of the system in the image: linux, or auto", example="linux", shown="auto"
    )
    hostname = Parameter(
        values.hostname, "", "Hostname", example="www.example.org", shown="the instance's name", option="hostname.name"
    )
    hosts = Parameter[tuple[str, ...]](
        system_values.hosts,
        (),
        "Lines for /etc/hosts, an address and its names each; separated by newlines or by \\n",
        example="192.0.2.7 db.example.org db",
        shown="none added",
        option="hosts.lines",
        lines=True,
    )
    timezone = Parameter(
        system_values.timezone,
        "",
        "Time zone, by its name in the time zone database",
        example="Europe/Berlin",
        shown="left as it is",
        option="timezone.zone",
    )
    locale = Parameter(
        system_values.locale,
        "",
        "Language, country and character set of programs' messages (LANG)",
        example="de_DE.UTF-8",
        shown="left as it is",
        option="locale.lang",
        sets=("make-locale.lang",),
    )
    make_locale = Parameter(
        values.flag,
        False,
        "Whether the image's localedef makes that locale if the image lacks it, in the helper: yes or no",
        example="yes",
        shown="no",
        option="make-locale.wanted",
    )
    keyboard = Parameter(
        system_values.keyboard,
        "",
        "Keyboard layout, with a variant behind a colon",
        example="de:nodeadkeys",
        shown="left as it is",
        option="keyboard.layout",
    )
    first_boot = Parameter(
        system_values.first_boot,
        "",
        "Script that the instance runs once as root, at its first boot with the network up; as it is, or in base64",
        example="IyEvYmluL3NoCmFwdC1nZXQgdXBkYXRlCg==",
        shown="none",
        secret=True,
        option="first-boot.script",
        lines=True,
        exclusive=("first_boot_url",),
    )
    first_boot_url = Parameter[Document | None](
        system_values.first_boot_url,
        None,
        "URL (https, http, file) of that script, fetched at creation; with #sha256:HEX appended, which http must have",
        example="https://example.org/setup.sh#sha256:" + "0123456789abcdef" * 4,
        shown="none",
        quoted=False,
        sets=("first-boot.script",),
        exclusive=("first_boot",),
    )
