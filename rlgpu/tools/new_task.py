"""Writes the files of a new task, ready to train and to be changed.

rlgpu new-task Hopper      writes hopper/ with hopper.py, hopper.xml, Hopper.yaml, ...
"""

from __future__ import annotations

from pathlib import Path

from rlgpu.errors import UsageError, shown
from rlgpu.tools.command_line import call_of

_TEMPLATE = Path(__file__).with_name("template")
"""The task Hover, a link to ``examples/hover`` in a clone."""


def task_files(name: str) -> dict[str, str]:
    """Returns the files of a new task by name.

    Args:
        name: Name of its class, such as ``Hopper``.
    """

    def named(text: str) -> str:
        return text.replace("Hover", name).replace("hover", name.lower())

    files = sorted(_TEMPLATE.glob("[!_]*.*"))
    return {named(file.name): named(file.read_text(encoding="utf-8")) for file in files}


def run(words: list[str]) -> int:
    """Writes a new task's folder; returns the exit code, 0.

    Raises:
        UsageError: The name is not that of a class, or the folder cannot be written.
    """
    if len(words) != 1 or not words[0].isidentifier() or not words[0][0].isupper():
        given = shown(" ".join(words)) if words else "nothing"
        raise UsageError(
            f"wanted the name of a class, such as Hopper, got {given}: rlgpu new-task Hopper",
            key="new-task",
            value=tuple(words),
        )
    name = words[0]
    folder = Path(name.lower())
    if folder.exists():
        said = f"{folder} exists already; move it away, or choose another name"
        raise UsageError(said, key="new-task", value=name, path=folder)
    try:
        folder.mkdir()
        for file, text in task_files(name).items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        said = f"{folder} cannot be written: {error.strerror}"
        raise UsageError(said, key="new-task", value=name, path=folder) from error
    print(f"wrote {', '.join(str(folder / file) for file in task_files(name))}")
    task = folder / f"{folder.name}.py"
    print(f"train it with: {call_of('train')} task={task}:{name} headless=True")
    return 0
