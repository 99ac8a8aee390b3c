"""Configure the network

Each NIC is found by its MAC address, whatever name the system gives it. It gets its IP with the subnet and gateway of
its Ganeti network; a NIC without is left to DHCP. The image's own configuration of Ethernet interfaces is replaced,
unless the network goes through the image's cloud-init, which sees to it.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task, TaskError
from helper_agent.distros import cloud_init
from helper_agent.net import dns, renderers, state

TASK = Task(
    name="network",
    phase="filesystems",
    options=(
        Option("dns_servers", "list", "addresses of name servers"),
        Option("dns_search", "list", "domains to search"),
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
    wanted = state.read(context.instance.nics, options.items("dns_servers"), options.items("dns_search"), log.warning)
    version = options.text("cloud_network")
    if version and cloud_init.in_charge(root, options.text("cloud_init")):
        from helper_agent.net import cloud

        cloud.give(root, wanted, version, seeded=options.text("cloud_seed") != "disk")
        dns.apply(root, wanted)
        log.info(f"cloud-init {version}: {'; '.join(f'{each.mac} {_words(each)}' for each in wanted.interfaces)}")
        return
    name = renderers.choose(root, context.distro.renderers)
    if context.distro.immutable:
        log.warning(f"The network stays as the image has it: {context.distro.immutable}")
        raise Skip("the image's system sets it by itself")
    if name is None:
        if not wanted.static:
            raise Skip("no network system in the image that is known here; it may do DHCP by itself")
        raise TaskError(
            f"The image has none of the network systems that are known here ({', '.join(context.distro.renderers)})",
            "install one in the image, or set skip_tasks=network",
        )
    renderer = renderers.RENDERERS[name]
    files = renderer.render(wanted)
    for path, text in files.items():
        root.write(path, text)
    renderer.settle(root, log, tuple(files))
    dns.apply(root, wanted)
    cloud_init.pin(root, "network", "network: {config: disabled}")
    log.info(f"{name}: {'; '.join(f'{each.mac} {_words(each)}' for each in wanted.interfaces)}")


def _words(interface: state.Interface) -> str:
    return ", ".join(address.cidr for address in interface.addresses) or "DHCP"
