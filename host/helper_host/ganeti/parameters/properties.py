"""Parameters in other forms: documents and snf-image's properties"""

from __future__ import annotations

from helper_host.ganeti import values
from helper_host.ganeti.parameters.row import Parameter, Rows


class PropertyRows(Rows):
    """Parameters in other forms: documents and snf-image's properties"""

    config_url = Parameter(
        values.config_url,
        None,
        "URL (https, http, file) of a JSON object with further OS parameters, fetched at creation; those that are given"
        " here win",
        example="https://example.org/web.json",
        shown="none",
        quoted=False,
    )
    img_properties = Parameter(
        values.properties,
        None,
        "Image properties as snf-image has them, a JSON object",
        example='{"OSFAMILY":"linux","USERS":"root"}',
        shown="none",
        quoted=False,
        lines=True,
    )
    inst_properties = Parameter(
        values.properties,
        None,
        "Image properties for this instance, which override img_properties",
        example='{"EXCLUDE_TASK_DeleteSSHKeys":"yes"}',
        shown="none",
        quoted=False,
        lines=True,
    )
