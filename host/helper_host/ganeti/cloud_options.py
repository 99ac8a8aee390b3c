"""From the OS parameters for cloud-init to the options of the tasks that it concerns"""

from __future__ import annotations

import json
from typing import Any

from helper_host.ganeti.parameters import Parameters

Options = dict[str, Any]


def wanted(parameters: Parameters) -> bool:
    """Whether something is to go through the image's cloud-init, if it has one"""
    given = parameters.user_data or parameters.vendor_data or parameters.meta_data
    return parameters.cloud_init == "yes" or (parameters.cloud_init != "no" and bool(given))


def cloud_init(parameters: Parameters) -> Options:
    """Of the task `cloud-init`"""
    if not wanted(parameters):
        return {}
    found: Options = {"seed": "image" if parameters.cloud_seed.place == "image" else "disk"}
    for name in ("user_data", "vendor_data"):
        part = getattr(parameters, name)
        # beside a seed disk, too: by them the task is asked for, and says what there is
        if part:
            found[name] = part.content
    if meta_data := _meta_data(parameters):
        found["meta_data"] = json.dumps(meta_data)
    # who names users has said who may log in
    if parameters.ssh_keys and not parameters.users:
        found["default_user_keys"] = list(parameters.ssh_keys)
    return found


def cloud_seed(parameters: Parameters, name: str, identity: str) -> Options:
    """Of the task `cloud-seed`: the seed's ISO image, for a disk"""
    place = parameters.cloud_seed
    if place.place == "image" or not wanted(parameters):
        return {}
    from helper_host import seed_image

    meta_data = {"local-hostname": name, **_meta_data(parameters), "instance-id": identity}
    user, vendor = parameters.user_data, parameters.vendor_data
    files = {
        "meta-data": json.dumps(meta_data).encode() + b"\n",
        "user-data": user.content if user else b"",
        "vendor-data": vendor.content if vendor else b"",
    }
    image = seed_image.make(
        {name: content for name, content in files.items() if content or name == "user-data"}, identity
    )
    return {"image": seed_image.packed(image), "place": place.place, "disk": place.disk}


def network(parameters: Parameters) -> Options:
    """Of the task `network`"""
    if not wanted(parameters) or parameters.cloud_network == "no":
        return {}
    place = "image" if parameters.cloud_seed.place == "image" else "disk"
    return {"cloud_network": parameters.cloud_network, "cloud_init": parameters.cloud_init, "cloud_seed": place}


def _meta_data(parameters: Parameters) -> dict[str, Any]:
    hostname = {"local-hostname": parameters.hostname} if parameters.hostname else {}
    return {**hostname, **json.loads(parameters.meta_data or "{}")}
