"""What the system is, and what it is called"""

from __future__ import annotations

from helper_host.ganeti import values
from helper_host.ganeti.parameters.row import Parameter, Rows


class SystemRows(Rows):
    """What the system is, and what it is called"""

    os_family = Parameter(
        values.os_family, "", "Family of the system in the image: linux, or auto", example="linux", shown="auto"
    )
    hostname = Parameter(
        values.hostname, "", "Hostname", example="www.example.org", shown="the instance's name", option="hostname.name"
    )
