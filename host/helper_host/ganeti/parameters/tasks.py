"""Which tasks run, and their options"""

from __future__ import annotations

from helper_host.ganeti import values
from helper_host.ganeti.parameters.row import Parameter, Rows
from helper_host.ganeti.task_options import Item


class TaskRows(Rows):
    """Which tasks run, and their options"""

    skip_tasks = Parameter[tuple[str, ...]](
        values.task_names, (), "Tasks that are not run", example="host-keys machine-id", shown="none"
    )
    task_options = Parameter[tuple[Item, ...]](
        values.task_options,
        (),
        "Options of tasks: TASK.OPTION=value, several separated by blanks, values with blanks between quotes",
        example="org.example.motd.owner=example.org",
        shown="as declared",
        quoted=False,
        lines=True,
    )
    task_secrets = Parameter[tuple[Item, ...]](
        values.task_options,
        (),
        "Options of tasks that are secret, in the same form; pass it with --os-parameters-secret",
        example="org.example.join.token='s3 cr3t'",
        shown="as declared",
        secret=True,
        lines=True,
    )
    custom_task = Parameter(
        values.custom_task,
        None,
        "A task for this instance only: base64 of its file, or an https URL with #sha256:HEX of it appended",
        example="IyEvYmluL3NoCmVjaG8gaGVsbG8K",
        shown="none",
        secret=True,
        lines=True,
    )
