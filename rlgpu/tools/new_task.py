"""Writes the files of a new task, ready to train and to be changed.

rlgpu new-task Hopper      writes hopper/ with hopper.py, hopper.xml, Hopper.yaml, ...
"""

from __future__ import annotations

from pathlib import Path
from string import Template

from rlgpu.errors import UsageError, shown
from rlgpu.tools.command_line import call_of

_PYTHON = '''\
"""$Name: hold a mass at a height of 1 m, by a force that lifts it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from rlgpu.envs import Outcome, Task, TaskConfig, uniform
from rlgpu.sim import Drive, ResetState, SceneSpec


@dataclass(frozen=True)
class ${Name}Config(TaskConfig):
    """Settings of the task; values in $Name.yaml, or task.force=30 on the command line."""

    force: float = 20.0
    """Force for an action of 1 [N]."""


class $Name(Task):
    Config = ${Name}Config
    num_observations = 2
    num_actions = 1

    def scene(self):
        asset = Path(__file__).parent / "$name.xml"
        return SceneSpec(asset=asset, drives={"lift": Drive("effort")})

    def targets(self, actions):  # [N, A] -> [N, J], here newtons
        return self.config.force * actions

    def observe(self, state, actions):  # [N, O]
        return torch.cat((state.joint_pos, state.joint_vel), dim=-1)

    def evaluate(self, state, actions, observations):  # rewards and failures, [N] each
        error = (state.joint_pos[:, 0] - 1.0).abs()
        return Outcome(rewards=1.0 - error, terminated=error > 2.0)

    def reset_state(self, generator):  # of all N; only those being reset take it
        start = uniform((self.num_envs, 1), 0.5, 1.5, generator)
        return ResetState(joint_pos=start, joint_vel=torch.zeros_like(start))
'''
_XML = """\
<mujoco model="$name">
  <worldbody>
    <light pos="0 -2 4" dir="0 0.4 -1"/>
    <geom type="plane" size="3 3 0.1" rgba="0.35 0.4 0.45 1" contype="0" conaffinity="0"/>
    <camera name="track" pos="0 -5 1.5" xyaxes="1 0 0 0 0.1 1"/>
    <body name="mass">
      <joint name="lift" type="slide" axis="0 0 1"/>
      <geom type="box" size="0.2 0.2 0.1" mass="1" rgba="0.85 0.45 0.2 1"/>
    </body>
  </worldbody>
</mujoco>
"""
_TASK_YAML = """\
name: $Name
num_envs: 512
episode_length: 250
force: 20.0
"""
_TRAIN_YAML = """\
max_iterations: 100
minibatch_size: 2048
learning_rate: 0.001
hidden_sizes: [32, 32]
"""
_FILES = {"$name.py": _PYTHON, "$name.xml": _XML, "$Name.yaml": _TASK_YAML,
          "${Name}PPO.yaml": _TRAIN_YAML}  # fmt: skip


def task_files(name: str) -> dict[str, str]:
    """Returns the files of a new task by name.

    Args:
        name: Name of its class, such as ``Hopper``.
    """
    words = {"Name": name, "name": name.lower()}
    return {
        Template(file).substitute(words): Template(text).substitute(words)
        for file, text in _FILES.items()
    }


def run(words: list[str]) -> int:
    """Writes a new task's folder; returns the exit code, 0.

    Raises:
        UsageError: The name is not that of a class, or the folder cannot be written.
    """
    if len(words) != 1 or not words[0].isidentifier() or not words[0][0].isupper():
        given = shown(" ".join(words)) if words else "nothing"
        raise UsageError(
            f"wanted the name of a class, such as Hopper, got {given}: rlgpu new-task Hopper"
        )
    name = words[0]
    folder = Path(name.lower())
    if folder.exists():
        raise UsageError(f"{folder} exists already; move it away, or choose another name")
    try:
        folder.mkdir()
        for file, text in task_files(name).items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error
    print(f"wrote {', '.join(str(folder / file) for file in task_files(name))}")
    task = folder / f"{folder.name}.py"
    print(f"train it with: {call_of('train')} task={task}:{name} headless=True")
    return 0
