"""cloud-init, where the image has it"""

from __future__ import annotations

from helper_host.documents import Document
from helper_host.ganeti import cloud_values
from helper_host.ganeti.cloud_values import Part, Seed
from helper_host.ganeti.parameters.row import SNF, Alias, Parameter, Rows

USER_DATA = "#cloud-config\npackages: [nginx]\n"


class CloudRows(Rows):
    """cloud-init, where the image has it"""

    cloud_init = Parameter(
        cloud_values.mode,
        "",
        "Whether the image's cloud-init is used: yes, no (it is switched off), or auto: where there is data for it;"
        " otherwise it is told to leave alone what is set here",
        example="yes",
        shown="auto",
        option="cloud-init.mode",
    )
    cloud_seed = Parameter(
        cloud_values.seed,
        Seed("image"),
        "Where cloud-init's data is: image; disk (the last of several disks, or else a new partition at the end of the"
        " only one), disk:NUMBER, or partition",
        example="disk:1",
        shown="image",
        sets=("cloud-init.seed", "cloud-seed.image", "cloud-seed.disk", "cloud-seed.place", "network.cloud_seed"),
    )
    cloud_network = Parameter(
        cloud_values.network,
        "v2",
        "Form of the network's configuration for cloud-init, v2 or v1, or no: it is written into the image as always",
        example="v1",
        shown="v2",
        sets=("network.cloud_network", "network.cloud_init"),
    )
    user_data = Parameter[Part | None](
        cloud_values.user_data,
        None,
        "User data for cloud-init, as text or as base64:...; pass it with --os-parameters-secret",
        example="base64:I2Nsb3VkLWNvbmZpZwpwYWNrYWdlczogW25naW54XQo=",
        shown="none",
        secret=True,
        lines=True,
        sets=("cloud-init.user_data",),
        aliases={"cloud_userdata": Alias(SNF, "I2Nsb3VkLWNvbmZpZwo=", cloud_values.base64_data)},
    )
    user_data_url = Parameter[tuple[Document, ...]](
        cloud_values.urls,
        (),
        "URLs (https, http, file) of further user data, which the node fetches at creation; #sha256:HEX behind one is"
        " its checksum; several pieces become one MIME message",
        example="https://example.org/user.yaml",
        shown="none",
        quoted=False,
        lines=True,
        sets=("cloud-init.user_data",),
    )
    vendor_data = Parameter[Part | None](
        cloud_values.user_data,
        None,
        "Vendor data for cloud-init, which user data overrides, in the same forms",
        example="base64:I2Nsb3VkLWNvbmZpZwo=",
        shown="none",
        secret=True,
        lines=True,
        sets=("cloud-init.vendor_data",),
    )
    vendor_data_url = Parameter[tuple[Document, ...]](
        cloud_values.urls,
        (),
        "URLs (https, http, file) of further vendor data, which the node fetches at creation; #sha256:HEX behind one is"
        " its checksum; several pieces become one MIME message",
        example="https://example.org/vendor.yaml",
        shown="none",
        quoted=False,
        lines=True,
        sets=("cloud-init.vendor_data",),
    )
    meta_data = Parameter(
        cloud_values.meta_data,
        "",
        "Further keys of cloud-init's meta-data, a JSON object",
        example='{"placement":{"rack":"a7"}}',
        shown="none",
        quoted=False,
        lines=True,
        sets=("cloud-init.meta_data",),
    )
