"""Writes the folder of an exported policy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rlgpu.config import Config, yaml_text
from rlgpu.deploy.description import describe
from rlgpu.deploy.files import write_onnx, write_torchscript
from rlgpu.deploy.formats import NotTaken, rl_sar, unitree, unitree_columns, unitree_rl_gym
from rlgpu.deploy.model import write_model
from rlgpu.deploy.policy import DeployedPolicy, Reordered
from rlgpu.envs import VecEnv
from rlgpu.learner import Agent

MEASURED = frozenset(
    (
        "lin_vel_b",
        "ang_vel_b",
        "gravity_b",
        "commands",
        "joint_pos",
        "joint_vel",
        "actions",
        "phase",
    )
)
"""Terms that ``play_mujoco.py`` measures."""
_Writer = Callable[[Path, dict[str, Any], DeployedPolicy], None]


class Exported(NamedTuple):
    """What was written."""

    policy: DeployedPolicy
    formats: dict[str, str]
    """Of each other program's format, why it could not be written; empty if it was."""


def export(folder: Path, config: Config, env: VecEnv, agent: Agent) -> Exported:
    """Writes ``policy.onnx``, ``policy.pt``, ``policy.yaml`` and the formats of other programs.

    Args:
        folder: Where to; it is made.
        config: The run's configuration.
        env: Environments of its task.
        agent: The trained agent.

    Raises:
        UsageError: The packages that write ONNX are not installed.
    """
    policy = DeployedPolicy(agent, env.observation_space, env.action_limit)
    described = describe(config, env, policy)
    folder.mkdir(parents=True, exist_ok=True)
    write_onnx(policy, folder / "policy.onnx", metadata_of(described))
    write_torchscript(policy, folder / "policy.pt")
    (folder / "policy.yaml").write_text(yaml_text(described))
    script = folder / "play_mujoco.py"
    script.unlink(missing_ok=True)
    if "joints" in described:
        write_model(env.task.scene(), env.sim.timing, folder)
        if {term["name"] for term in described["observations"]} <= MEASURED:
            shutil.copyfile(Path(__file__).with_name("play_mujoco.py"), script)
    writers = {"unitree": _unitree, "rl_sar": _rl_sar, "unitree_rl_gym": _unitree_rl_gym}
    return Exported(
        policy, {name: _tried(w, folder / name, described, policy) for name, w in writers.items()}
    )


def _tried(write: _Writer, folder: Path, described: dict[str, Any], policy: DeployedPolicy) -> str:
    """Writes a format, or removes what an earlier export wrote; returns why it was not written."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        write(folder, described, policy)
    except NotTaken as error:
        return str(error)
    return ""


def _unitree(folder: Path, described: dict[str, Any], policy: DeployedPolicy) -> None:
    content = unitree(described)
    _write(folder / "params" / "deploy.yaml", content)
    (folder / "exported").mkdir()
    ordered = Reordered(policy, unitree_columns(described))
    write_onnx(ordered, folder / "exported" / "policy.onnx", metadata_of(described), rows=1)


def _rl_sar(folder: Path, described: dict[str, Any], policy: DeployedPolicy) -> None:
    robot = str(described["task"]).lower()
    base, config = rl_sar(described, robot)
    _write(folder / robot / "base.yaml", base)
    _write(folder / robot / "rlgpu" / "config.yaml", config)
    path = folder / robot / "rlgpu" / "policy.onnx"
    write_onnx(policy, path, metadata_of(described), rows=1)


def _unitree_rl_gym(folder: Path, described: dict[str, Any], policy: DeployedPolicy) -> None:
    simulated, real = unitree_rl_gym(described)
    _write(folder / "deploy_mujoco.yaml", simulated)
    _write(folder / "deploy_real.yaml", real)
    write_torchscript(policy, folder / "policy.pt")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml_text(content))


def metadata_of(described: Mapping[str, Any]) -> dict[str, str]:
    """Returns what an ONNX file says of its policy, at full precision.

    The keys are those of mjlab's and BeyondMimic's exports, values separated by commas, and the
    whole description as JSON under ``rlgpu``.
    """
    found = {"rlgpu": json.dumps(described), "run_path": str(described["task"])}
    names = {
        "joint_names": "joints",
        "joint_stiffness": "stiffness",
        "joint_damping": "damping",
        "default_joint_pos": "default_joint_pos",
        "action_scale": "action_scale",
        "command_names": "commands",
    }
    for key, name in names.items():
        if name in described:
            found[key] = _joined(described[name])
    found["observation_names"] = _joined([term["name"] for term in described["observations"]])
    return found


def _joined(values: Any) -> str:
    return ",".join(value if isinstance(value, str) else repr(value) for value in values)
