"""Configure the network

Each NIC is found by its MAC address, whatever name the system gives it. It gets its IP with the subnet and gateway of
its Ganeti network; a NIC without, or whose network has a tag that says so, is left to DHCP. What `nic0`, `nic1`, ...
name is done instead. The image's own configuration of Ethernet interfaces is replaced, by files of the network system
that it runs, unless the network goes through the image's cloud-init; without a NIC nothing is touched.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task, TaskError
from helper_agent.distros import cloud_init, lasting
from helper_agent.net import dns, renderers, state, tags, wishes

TASK = Task(
    name="network",
    phase="filesystems",
    options=(
        Option("dns_servers", "list", "addresses of name servers"),
        Option("dns_search", "list", "domains to search"),
        *(
            Option(name, "str", f"what is done with NIC {name[3:]}: {', '.join(wishes.MODES)}, addresses, ...")
            for name in wishes.NAMES
        ),
        Option("default_nic", "str", f"a lone NIC without data: {', '.join(wishes.DEFAULT_MODES)}"),
        Option("renderer", "str", "network system that is told, instead of the one that the image runs"),
        Option("dhcp_tags", "list", "tags of networks that say DHCP", default=list(tags.DHCP)),
        Option("stateful_tags", "list", "tags of networks that say DHCPv6", default=list(tags.STATEFUL)),
        Option(
            "stateless_tags", "list", "tags of networks that say SLAAC with DHCPv6 for the rest", list(tags.STATELESS)
        ),
        Option("cloud_network", "str", "the network goes through the image's cloud-init if that is used: v2 or v1"),
        Option("cloud_init", "str", "as the task cloud-init's mode"),
        Option("cloud_seed", "str", "as the task cloud-init's seed", default="image"),
    ),
)


def run(context: Context) -> None:
    """Write the files of the network system the image runs"""
    root, options, log = context.root, context.options, context.log
    if not context.instance.nics:
        raise Skip("the instance has no NIC")
    if context.distro.immutable:
        raise lasting.stays(context, "The network")
    wanted = state.read(context.instance.nics, options.plain(), log.warning)
    version = options.text("cloud_network")
    if version and not options.text("renderer") and cloud_init.in_charge(root, options.text("cloud_init")):
        from helper_agent.net import cloud

        cloud.give(root, wanted, version, seeded=options.text("cloud_seed") != "disk")
        dns.apply(root, wanted)
        log.info(f"cloud-init {version}: {'; '.join(f'{each.mac} {_words(each)}' for each in wanted.interfaces)}")
        return
    known = context.distro.renderers
    forced = options.text("renderer")
    name = renderers.forced(root, forced) if forced else renderers.choose(root, known)
    renderer = renderers.find(name or "")
    if renderer is None:
        if not wanted.static:
            raise Skip("no network system in the image that is known here; it may do DHCP by itself")
        raise TaskError(
            f"The image has none of the network systems that are known here ({', '.join(known)})",
            "install one in the image, or set skip_tasks=network",
        )
    for words in renderers.lacks(renderer, wanted):
        log.info(words)
    files = renderer.render(wanted)
    for path, text in files.items():
        root.install(path, text, mode=renderers.mode(renderer))
    renderer.settle(root, log, tuple(files))
    if not renderers.resolves(renderer):
        dns.apply(root, wanted)
    cloud_init.pin(root, "network", "network: {config: disabled}")
    log.info(f"{name}: {'; '.join(f'{each.mac} {_words(each)}' for each in wanted.interfaces)}")


def _words(interface: state.Interface) -> str:
    """An interface for the log"""
    ipv6 = {"auto": "", "dhcp": "DHCPv6", "stateless": "SLAAC and DHCPv6"}.get(interface.ipv6, "")
    words = [*(address.cidr for address in interface.addresses), "DHCP" if interface.dhcp4 else "", ipv6]
    words.append(f"MTU {interface.mtu}" if interface.mtu else "")
    return ", ".join(filter(None, words)) or ("SLAAC" if interface.ipv6 else "left down")
