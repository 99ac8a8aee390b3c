"""Network states the renderers' tests share"""

from __future__ import annotations

from helper_agent.net.state import Address, Interface, State

STATIC = Interface("nic0", "02:00:00:00:00:01", (Address(4, "192.0.2.10", 24, "192.0.2.1", False, 0),))
SPARE = Interface("nic1", "02:00:00:00:00:02", (Address(4, "198.51.100.7", 32, "203.0.113.1", True, 100),))
IPV6 = Interface("nic2", "02:00:00:00:00:03", (Address(6, "2001:db8::10", 64, "fe80::1", True, 0),))
DHCP = Interface("nic3", "02:00:00:00:00:04", ())
ALL = State((STATIC, SPARE, IPV6, DHCP), ("192.0.2.53", "2001:db8::53"), ("example.org", "lab"))
