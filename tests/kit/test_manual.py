"""The manual of one task"""

from __future__ import annotations

from helper_agent.declaration import PRIVILEGES, Option, Task
from helper_agent.taskfile import TaskFile
from helper_kit import builtin
from helper_kit.manual import BUILT_IN, task_page, task_text

TASK = Task(
    "org.example.join",
    "filesystems",
    after=("network",),
    options=(
        Option("servers", "list", "whom to join | in turn", ("a", "b")),
        Option("key", "str", "what lets it in", secret=True),
        Option("wait", "bool", "wait for an answer", True),
    ),
    distros=("debian", "ubuntu"),
    actions=("create", "rename"),
    optional=True,
    timeout=60,
    privileges=("tree-path",),
    api=1,
)
ITEM = TaskFile(TASK, "python", "Join a monitoring system", "Details.", "/etc/tasks.d/org.example.join.py", b"")

PAGE = f"""## `org.example.join`

Join a monitoring system.

Details.

- runs: on the image's mounted tree; at create and rename
- after: `network`
- for: linux (debian, ubuntu)
- optional: a failure is a warning; what it wrote is taken back
- time limit: 60 s
- privilege: `tree-path`: it {PRIVILEGES["tree-path"]}
- task API: version 1
- file: `org.example.join.py`, Python

| option | value | default | meaning |
|---|---|---|---|
| `servers` | a list of texts | `a,b` | whom to join \\| in turn |
| `key` | text, secret | none | what lets it in |
| `wait` | true or false | `yes` | wait for an answer |

Example: `-O 'task_options=org.example.join.servers=a\\,b'`
"""


def test_the_page_has_everything_a_declaration_says() -> None:
    assert task_page(ITEM) == PAGE


def test_the_text_says_the_same() -> None:
    text = task_text(ITEM)
    for words in ("Join a monitoring system", "Details.", "debian, ubuntu", "key (text, secret)", "default yes"):
        assert words in text
    assert "`" not in text


def test_a_secret_is_given_as_one() -> None:
    secret_first = TASK._replace(options=TASK.options[1:])
    assert "--os-parameters-secret 'task_secrets=org.example.join.key=text'" in task_page(
        ITEM._replace(task=secret_first)
    )


def test_every_built_in_task_has_a_page() -> None:
    items = builtin.tasks()
    assert len(items) >= 10
    for item in items:
        page = task_page(item)
        assert page.startswith(f"## `{item.task.name}`\n\n{item.heading}.\n\n")
        assert item.manual, "the docstring has more than a heading"
        assert item.source == BUILT_IN
        for option in item.task.options:
            assert f"| `{option.name}` |" in page
