"""Tasks included with rlgpu. A new task needs one module, its YAML files and one line here."""

from __future__ import annotations

from rlgpu.envs import Task
from tasks.ant import Ant
from tasks.anymal import Anymal
from tasks.anymal_terrain import AnymalTerrain
from tasks.ball_balance import BallBalance
from tasks.cartpole import Cartpole
from tasks.franka_cube_stack import FrankaCubeStack
from tasks.g1 import G1
from tasks.go2 import Go2
from tasks.humanoid import Humanoid
from tasks.ingenuity import Ingenuity
from tasks.quadcopter import Quadcopter

TASKS: dict[str, type[Task]] = {
    task.__name__: task
    for task in (
        Ant, Anymal, AnymalTerrain, BallBalance, Cartpole, FrankaCubeStack, G1, Go2, Humanoid,
        Ingenuity, Quadcopter,
    )
}  # fmt: skip
