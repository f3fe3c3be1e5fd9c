"""Writes the folder of an exported policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlgpu.config import Config, yaml_text
from rlgpu.deploy.description import describe
from rlgpu.deploy.files import write_onnx, write_torchscript
from rlgpu.deploy.policy import DeployedPolicy
from rlgpu.envs import VecEnv
from rlgpu.learner import Agent


def export(folder: Path, config: Config, env: VecEnv, agent: Agent) -> DeployedPolicy:
    """Writes ``policy.onnx``, ``policy.pt`` and ``policy.yaml``; returns what they contain.

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
    return policy


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
