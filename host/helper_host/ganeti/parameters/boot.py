"""How the system boots, and by what it finds its disk"""

from __future__ import annotations

from helper_host.ganeti import boot_values, values
from helper_host.ganeti.parameters.row import Parameter, Rows


class BootRows(Rows):
    """How the system boots, and by what it finds its disk"""

    serial_console = Parameter(
        boot_values.serial_console,
        "",
        "Serial console for kernel, boot loader and login: yes (as the hypervisor has it), no to leave the image's, or"
        " one such as ttyS0:115200",
        example="yes",
        shown="left as it is",
        option="serial-console.port",
    )
    kernel_args = Parameter[tuple[str, ...]](
        boot_values.kernel_args,
        (),
        "Arguments of the kernel to set, or with - in front to take away, separated by blanks",
        example="net.ifnames=0 -quiet",
        shown="left as they are",
        option="kernel-arguments.words",
    )
    regenerate_grub = Parameter(
        values.flag,
        False,
        "Whether the image's grub-mkconfig makes grub's configuration anew, in the helper: yes or no",
        example="yes",
        shown="no",
        option="grub-config.wanted",
    )
    new_uuids = Parameter(
        values.flag,
        False,
        "Whether filesystems, swap areas and partitions of the first disk get new UUIDs: yes or no",
        example="yes",
        shown="no",
        sets=("new-uuids.seed", "follow-uuids.seed"),
    )
