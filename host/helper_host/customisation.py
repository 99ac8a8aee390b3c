"""What is to be done to the image: tasks, their options, what is left out; all of it known before the first write"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from helper_agent.declaration import TIMEOUT
from helper_agent.description import Description
from helper_agent.net.wishes import NAMES as NICS
from helper_host import completing, fitting, helper_image, layers, packing, tasks
from helper_host.errors import ProviderError
from helper_host.ganeti import parameters, properties
from helper_host.ganeti.options import Options
from helper_host.ganeti.parameters import Parameters
from helper_host.ganeti.properties import Wishes
from helper_host.helper_image import HelperImage
from helper_host.image import beside
from helper_host.layers import Layers
from helper_host.request import CREATE, Request
from helper_host.setting_tables import PARAMETERS
from helper_host.settings import Settings
from helper_host.tasks import Tasks

if TYPE_CHECKING:
    from helper_agent.taskfile import TaskFile

NOTHING = Description()
NETWORK = "network"
"""The task that fits what is wished to Ganeti's NICs."""


class Customisation(NamedTuple):
    """What the helper is to do"""

    helper: HelperImage
    tasks: Tasks
    wanted: tuple[str, ...]
    """Names of the tasks of this run, in their order."""
    skipped: tuple[str, ...]
    """Names of those that are left out."""
    layers: Layers
    parameters: Parameters
    """Without defaults of the settings that `task_options` overrides."""
    properties: dict[str, str]
    """snf-image's, for programs and for the agent."""
    os_family: str
    root_partition: str
    contents: Mapping[str, Options]
    """Options that are files of the node."""
    more_seconds: float
    """What tasks may take beyond the usual, as they declare: the run's time limit grows by it."""

    @property
    def idle(self) -> bool:
        """Whether every task of this run waits for an option that nobody has set"""
        given = {
            option for row in Parameters.rows.values() if row.name in self.parameters.values for option in row.sets
        }
        return all(
            (task := self.tasks.find(name)) is not None
            and bool(task.needs)
            and not any(
                f"{name}.{option}" in given or self.layers.has(name, option) or option in self.contents.get(name, {})
                for option in task.needs
            )
            for name in self.wanted
        )

    def options(self, made: dict[str, Options]) -> dict[str, Options]:
        """The options of this run's tasks; `made`: from the parameters with names of their own"""
        merged = {name: {**made.get(name, {}), **self.contents.get(name, {})} for name in {**made, **self.contents}}
        return layers.merged(self.layers, merged, self.tasks, self.wanted)


def prepare(request: Request, image: str | None) -> Customisation | None:
    """The plan for the image in the file `image`, None where there is none; None: nothing is to be customised

    Raises:
        ProviderError: see `described` and `plan`
    """
    asked = wishes(request)
    about = described(request, image) if image is not None else None
    if asked.flag(properties.EXCLUDE_ALL):
        request.log.warning(f"{properties.EXCLUDE_ALL} is set: no task is run, nothing is customised")
        return None
    planned = plan(request, asked, about)
    if planned.tasks.shipped:
        names = ", ".join(row.task.name for row in planned.tasks.shipped)
        request.log.info(f"tasks on top of the helper image's: {names}")
    return planned


def wishes(request: Request) -> Wishes:
    """What the image's properties ask for; warns of those that nobody understands"""
    found = properties.read(request.parameters.img_properties, request.parameters.inst_properties)
    for remark in found.remarks:
        request.log.warning(remark)
    return found


class Described(NamedTuple):
    """An image with a description beside it"""

    image: str
    """Its file."""
    description: Description


def described(request: Request, image: str) -> Described | None:
    """The description beside the image in the file `image`, if it has one that counts; its disk is large enough

    Raises:
        ProviderError: E-SETTINGS, E-DISK-SMALL
    """
    found = beside.read(image, request.log.warning) if request.parameters.image_description else None
    if found is None:
        return None
    beside.check_disk(image, found, request.instance.disks[0].size)
    return Described(image, found)


def plan(request: Request, asked: Wishes, about: Described | None) -> Customisation:
    """Read and check all that the customisation depends on

    Args:
        asked: of `wishes`
        about: of `described`

    Raises:
        ProviderError: E-HELPER-IMAGE, E-TASKS, E-CUSTOM-TASK, E-PARAMETER, E-SETTINGS, E-DOCUMENT
    """
    given, settings, warn = request.parameters, request.settings, request.log.warning
    description = about.description if about is not None else NOTHING
    helper = helper_image.load(settings.helper_image)
    custom = _custom(request, asked)
    known = tasks.collect(settings, helper, custom)
    skipped = _skipped(request, asked, known, about)
    wanted = tuple(
        row.task.name
        for row in known.rows
        if row.task.name not in skipped
        # as the agent has it: who names tasks means them, at whatever action
        and (row.task.name in request.only_tasks if request.only_tasks else request.action in row.task.actions)
    )
    above, overridden = layers.from_parameters(given, known, warn)
    below = layers.from_settings(settings.tasks, known)
    if about is not None:
        for name, values in beside.options(about.image, description, known, warn).items():
            below[name] = {**values, **below.get(name, {})}
    users = () if "users" in overridden else given.users
    counting = given.without(overridden).with_defaults(asked.parameters)
    if request.action == CREATE:
        fitting.check(request.instance, counting, given)
    planned = Customisation(
        helper,
        known,
        wanted,
        skipped,
        Layers(above, below, users or asked.users, description.users),
        completing.completed(counting, wanted, settings, request.log),
        _properties(asked, description),
        given.os_family or asked.os_family or description.os_family,
        given.root_partition or asked.root_partition,
        packing.contents(counting, settings, wanted),
        _more_seconds(known, [name for name in wanted if custom is None or name != custom.task.name]),
    )
    if NETWORK in wanted:
        nics = {name: value for name, value in counting.values.items() if name in NICS}
        fitting.check_network(request.instance, planned.options({NETWORK: nics}).get(NETWORK, {}))
    return planned


def _more_seconds(known: Tasks, names: Collection[str]) -> float:
    """Of tasks that the administrator has put there: a user's one-off task has to do with the usual time

    Those that come with the helper have their time within the usual limit.
    """
    run = [row.task for row in known.rows if row.task.name in names and row.task.api]
    return sum(max(0.0, task.timeout - TIMEOUT) for task in run)


def check(settings: Settings, helper: HelperImage) -> None:
    """What of a plan depends on the node alone: tasks, and what the settings say of them

    Raises:
        ProviderError: E-TASKS, E-SETTINGS
    """
    known = tasks.collect(settings, helper)
    layers.from_settings(settings.tasks, known)
    try:
        defaults = parameters.parse({}, settings.parameters)
        layers.from_parameters(defaults, known, lambda _: None)
        _check_names("skip_tasks", defaults.skip_tasks, known)
        packing.contents(defaults, settings, known.names)
    except ProviderError as error:
        raise ProviderError("E-SETTINGS", f"In a table [{PARAMETERS}]: {error.cause}", error.remedy) from None


def _custom(request: Request, asked: Wishes) -> TaskFile | None:
    """The one-off task, fetched; it belongs to the installation"""
    given = request.parameters.custom_task
    if given is not None and asked.custom is not None:
        raise parameters.error(
            "custom_task", f"can't be given together with the image property {properties.CUSTOM}", "give one of them"
        )
    custom = given or asked.custom
    if custom is None or request.action != CREATE:
        return None
    from helper_host import custom_task

    task = custom_task.load(custom, request.settings)
    request.log.info(f"custom task {task.task.name} from {task.source}: {len(task.content)} bytes")
    return task


def _skipped(request: Request, asked: Wishes, known: Tasks, about: Described | None) -> tuple[str, ...]:
    log = request.log
    _check_names("skip_tasks", request.parameters.skip_tasks, known)
    for name in request.only_tasks:
        if known.find(name) is None:
            raise ProviderError("E-TASKS", f"There is no task '{name}'", known.missing(name))
    excluded, remarks = properties.excluded(asked, known)
    for remark in remarks:
        log.warning(remark)
    by_image = beside.skipped(about.image, about.description, known, log.warning) if about is not None else ()
    # who names the tasks that are to run has said more than the image's author
    by_image = tuple(name for name in by_image if name not in request.only_tasks)
    for who, names in (("image properties", excluded), ("the image's description", by_image)):
        if names:
            log.info(f"left out by {who}: {', '.join(names)}")
    set_up = {*request.settings.tasks, *(row.task.name for row in known.shipped)}
    for name in by_image:
        if name in set_up:
            log.warning(f"The image's description leaves out {name}, which this node has set up")
    every = {*request.parameters.skip_tasks, *excluded, *by_image}
    return tuple(name for name in known.names if name in every)


def _check_names(parameter: str, names: tuple[str, ...], known: Tasks) -> None:
    """The agent would refuse an unknown name too, but only when the disk has been written"""
    for name in names:
        if known.find(name) is None:
            raise parameters.error(parameter, f"there is no task '{name}'", known.missing(name))


def _properties(asked: Wishes, description: Description) -> dict[str, str]:
    wanted = asked.flag(properties.OVERWRITING) or description.image_tasks
    # the agent's one way to be asked for the image's programs by something outside the image
    return {**asked.all, **({properties.OVERWRITING: "yes"} if wanted else {})}
