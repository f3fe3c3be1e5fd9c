"""Writes the files of a new task, ready to train and to be changed.

rlgpu new-task Hopper                  writes hopper/ with hopper.py, hopper.xml, Hopper.yaml, ...
rlgpu new-task MyDog robot=dog.xml     a task in which the robot of an MJCF or URDF file walks: all
                                       that is found in the file, as values to change
"""

from __future__ import annotations

from pathlib import Path

from rlgpu.config import INCLUDED, plain, yaml_text
from rlgpu.errors import UsageError, shown
from rlgpu.tools.command_line import call_of

_TEMPLATE = Path(__file__).with_name("template")
"""The task Hover, a link to ``examples/hover`` in a clone."""


_WALKER = '''"""{robot} walks as commanded.

Values are in {name}.yaml. What they cannot say goes here; `rlgpu/tasks/walk.py` shows what can be
replaced.
"""

from __future__ import annotations

from rlgpu.tasks.walk import Walk


class {name}(Walk):
    """Walk as commanded."""
'''


def task_files(name: str) -> dict[str, str]:
    """Returns the files of a new task by name.

    Args:
        name: Name of its class, such as ``Hopper``.
    """

    def named(text: str) -> str:
        return text.replace("Hover", name).replace("hover", name.lower())

    files = sorted(_TEMPLATE.glob("[!_]*.*"))
    return {named(file.name): named(file.read_text(encoding="utf-8")) for file in files}


def robot_files(name: str, file: str) -> dict[str, str]:
    """Returns the files of a task in which a robot of a file walks, by name.

    Args:
        name: Name of its class, such as ``MyDog``.
        file: The robot's MJCF or URDF file.

    Raises:
        UsageError: There is no such file, or it is not of a robot that walks.
    """
    from rlgpu.robots.survey import RobotSettings, complete  # noqa: PLC0415  (MuJoCo is slow)

    robot = complete(RobotSettings(file=file))
    folder = INCLUDED.cfg[0]
    values, training = folder / "task" / "Walk.yaml", folder / "train" / "WalkPPO.yaml"
    found = "# What was found in the file; what is deleted here is found again.\n"
    left_out = ("base_height", "sources", "digest")  # which follow from the others
    found += yaml_text({"robot": {k: v for k, v in plain(robot).items() if k not in left_out}})
    text = values.read_text(encoding="utf-8").replace("name: Walk", f"name: {name}")
    return {
        f"{name.lower()}.py": _WALKER.format(name=name, robot=Path(robot.file).name),
        f"{name}.yaml": f"{text}{found}",
        f"{name}PPO.yaml": training.read_text(encoding="utf-8"),
    }


def run(words: list[str]) -> int:
    """Writes a new task's folder; returns the exit code, 0.

    Raises:
        UsageError: The name is not that of a class, or the folder cannot be written.
    """
    named = [word for word in words if not word.startswith("robot=")]
    robot = next((word.partition("=")[2] for word in words if word.startswith("robot=")), "")
    if (
        len(named) != 1
        or len(words) > 2
        or not named[0].isidentifier()
        or not named[0][0].isupper()
    ):
        given = shown(" ".join(named or words)) if words else "nothing"
        raise UsageError(
            f"wanted the name of a class, such as Hopper, got {given}: rlgpu new-task Hopper, or "
            "rlgpu new-task MyDog robot=dog.xml",
            key="new-task",
            value=tuple(words),
        )
    name = named[0]
    folder = Path(name.lower())
    if folder.exists():
        said = f"{folder} exists already; move it away, or choose another name"
        raise UsageError(said, key="new-task", value=name, path=folder)
    files = robot_files(name, robot) if robot else task_files(name)
    try:
        folder.mkdir()
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        said = f"{folder} cannot be written: {error.strerror}"
        raise UsageError(said, key="new-task", value=name, path=folder) from error
    print(f"wrote {', '.join(str(folder / file) for file in files)}")
    task = folder / f"{folder.name}.py"
    print(f"train it with: {call_of('train')} task={task}:{name} headless=True")
    return 0
