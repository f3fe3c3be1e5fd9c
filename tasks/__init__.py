"""Tasks included with rlgpu. A new task needs one module, its YAML files and one line here."""

from __future__ import annotations

from rlgpu.envs import Task
from rlgpu.tasks.ant import Ant
from rlgpu.tasks.anymal import Anymal
from rlgpu.tasks.anymal_terrain import AnymalTerrain
from rlgpu.tasks.ball_balance import BallBalance
from rlgpu.tasks.cartpole import Cartpole
from rlgpu.tasks.franka_cube_stack import FrankaCubeStack
from rlgpu.tasks.g1 import G1
from rlgpu.tasks.go2 import Go2
from rlgpu.tasks.humanoid import Humanoid
from rlgpu.tasks.ingenuity import Ingenuity
from rlgpu.tasks.quadcopter import Quadcopter
from rlgpu.tasks.stand_up import StandUp
from rlgpu.tasks.walk import Walk

TASKS: dict[str, type[Task]] = {
    task.__name__: task
    for task in (
        Ant,
        Anymal,
        AnymalTerrain,
        BallBalance,
        Cartpole,
        FrankaCubeStack,
        G1,
        Go2,
        Humanoid,
        Ingenuity,
        Quadcopter,
        StandUp,
        Walk,
    )
}
