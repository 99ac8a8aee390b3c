"""Where things are installed; `make install` rewrites the four folders below for its PREFIX and the like"""

PREFIX = "/usr"
SYSCONFDIR = "/etc"
LOCALSTATEDIR = "/var"
RUNSTATEDIR = "/run"

LIB = f"{PREFIX}/lib/ganeti-instance-helper"
SETTINGS = f"{SYSCONFDIR}/ganeti/instance-helper"
"""Folder of config.toml, variants.list and variants/."""
STATE = f"{LOCALSTATEDIR}/lib/ganeti-instance-helper"
CACHE = f"{LOCALSTATEDIR}/cache/ganeti-instance-helper"
RUN = f"{RUNSTATEDIR}/ganeti-instance-helper"
