"""A robot of two legs that stands, whose file and start tests change."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rlgpu.envs import Outcome, Task, TaskConfig
from rlgpu.sim import Drive, ResetState, SceneSpec

LEGS = ("left", "right")
PLANE = '<geom name="floor" type="plane" size="5 5 1"/>'
FREE = '<freejoint name="root"/>'


def robot(*, ground: str = PLANE, free: str = FREE, limits: str = "-1 1") -> str:
    """Returns a box on two legs of 0.4 m, whose feet are 0.42 m below its root."""
    legs = "".join(
        f"""<body name="{name}" pos="0 {y} 0"><joint name="{name}" axis="0 1 0" range="{limits}"/>
        <geom type="capsule" fromto="0 0 -.1 0 0 -.4" size=".02"/></body>"""
        for name, y in zip(LEGS, (0.1, -0.1), strict=True)
    )
    return f"""<mujoco><compiler angle="radian"/><worldbody>{ground}
      <body name="base" pos="0 0 1">{free}
      <geom type="box" size=".2 .15 .05" mass="5"/>{legs}</body></worldbody></mujoco>"""


@dataclass(frozen=True)
class Start:
    """How a task of the test starts."""

    height: float | None = 0.43
    quat: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)
    joint_pos: tuple[float, ...] = (0.0, 0.0)
    drives: dict[str, Drive] = field(
        default_factory=lambda: dict.fromkeys(LEGS, Drive("position", stiffness=20.0, damping=1.0))
    )
    default: float = 0.0
    root: str = ""


class Standing(Task):
    """A robot that stands."""

    Config = TaskConfig
    num_observations = 2
    num_actions = 2

    def __init__(self, asset: Path, start: Start) -> None:
        super().__init__(TaskConfig(name="Standing"))
        self.asset, self.start = asset, start

    def scene(self) -> SceneSpec:
        """Returns the robot."""
        return SceneSpec(asset=self.asset, drives=self.start.drives, root=self.start.root)

    def targets(self, actions: torch.Tensor) -> torch.Tensor:
        """Returns targets around the default position."""
        return self.start.default + actions

    def observe(self, state: Any, actions: torch.Tensor) -> torch.Tensor:
        """Returns the joint positions."""
        return state.joint_pos.clone()

    def evaluate(self, state: Any, actions: torch.Tensor, observations: torch.Tensor) -> Outcome:
        """Returns rewards of zero."""
        none = torch.zeros(self.num_envs)
        return Outcome(none, none > 0)

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns the start."""
        joints = torch.tensor(self.start.joint_pos).repeat(self.num_envs, 1)
        pose = {}
        if self.start.height is not None:
            pose["root_pos_w"] = torch.tensor([0.0, 0.0, self.start.height]).repeat(
                self.num_envs, 1
            )
            pose["root_quat_w"] = torch.tensor(self.start.quat).repeat(self.num_envs, 1)
        return ResetState(joints, torch.zeros_like(joints), **pose)
