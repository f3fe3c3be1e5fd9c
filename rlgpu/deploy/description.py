"""The description of an exported policy: ``policy.yaml``, from which every other format follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlgpu.config import Config
from rlgpu.deploy.policy import DeployedPolicy
from rlgpu.envs import Deployment, VecEnv

FORMAT = 1


def describe(config: Config, env: VecEnv, policy: DeployedPolicy) -> dict[str, Any]:
    """Returns what a program needs beside the network, as plain values.

    Args:
        config: The run's configuration.
        env: Environments of its task.
        policy: The exported policy.
    """
    task, timing, signature = env.task, env.sim.timing, policy.signature
    robot = task.deployment()
    described: dict[str, Any] = {
        "format": FORMAT,
        "task": config.task.name,
        "asset": str(task.scene().file),
        "step_dt": timing.step_dt,
        "physics_dt": timing.physics_dt,
        "decimation": timing.decimation,
        "inputs": list(signature.inputs),
        "outputs": list(signature.outputs),
        "num_observations": policy.num_observations,
        "num_actions": policy.num_actions,
        "clip_actions": config.task.clip_actions,
        "clip_observations": config.task.clip_observations,
        "history": config.task.history,
        "asset_joints": list(env.joint_names),
    }
    if signature.memory[0]:
        described |= {"memory_layers": signature.memory[0], "memory_size": signature.memory[1]}
    described["observations"] = _terms(env, policy.columns, robot)
    return described | (_robot(robot) if robot else {})


def _terms(env: VecEnv, columns: Sequence[int], robot: Deployment | None) -> list[dict[str, Any]]:
    """Returns the terms that the policy takes, in order, each with the steps since it was observed.

    Args:
        env: Environments of the task, which names its columns.
        columns: Columns of what the environments show that the policy takes, in order.
        robot: What is known of the robot.
    """
    width = env.task.num_observations
    parts = env.task.columns.parts() if env.task.columns else {"observations": width}
    name_of = [name for name, size in parts.items() for _ in range(size)]
    known = {term.name: term for term in robot.observations} if robot else {}
    terms: list[dict[str, Any]] = []
    for column in columns:
        ago, name = column // width, name_of[column % width]
        if terms and (terms[-1]["name"], terms[-1]["steps_ago"]) == (name, ago):
            terms[-1]["size"] += 1
        else:
            terms.append({"name": name, "steps_ago": ago, "size": 1})
    for term in terms:
        if found := known.get(term["name"]):
            term |= {"scale": list(found.scale), "offset": list(found.offset)}
    return terms


def _robot(robot: Deployment) -> dict[str, Any]:
    values: Mapping[str, Any] = robot._asdict()
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name not in ("observations", "commands")
    } | {"commands": {name: list(limits) for name, limits in robot.commands.items()}}
