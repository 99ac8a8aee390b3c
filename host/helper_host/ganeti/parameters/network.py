"""The network"""

from __future__ import annotations

from helper_host.ganeti import values
from helper_host.ganeti.parameters.row import Parameter, Rows


class NetworkRows(Rows):
    """The network"""

    dns_servers = Parameter[tuple[str, ...]](
        values.addresses,
        (),
        "Addresses of DNS servers, for NICs with a fixed address",
        example="192.0.2.53 2001:db8::53",
        shown="none",
        option="network.dns_servers",
    )
    dns_search = Parameter[tuple[str, ...]](
        values.domains,
        (),
        "Domains in which short names are looked for",
        example="example.org",
        shown="none",
        option="network.dns_search",
    )
