"""Compares exported files with the policy they are from, on observations of its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.deploy.files import INSTALL
from rlgpu.deploy.policy import DeployedPolicy
from rlgpu.envs import VecEnv
from rlgpu.errors import UsageError
from rlgpu.learner import Agent

CLOSE = 1e-5
"""Largest difference of actions, as a share of those beyond 1."""


class Difference(NamedTuple):
    """How far a file's actions are from the policy's."""

    file: str
    largest: float
    """Largest difference, as a share of actions beyond 1."""
    rows: int
    """Observations that were compared."""

    @property
    def is_small(self) -> bool:
        """Whether it is rounding."""
        return self.largest <= CLOSE


def compare(
    folder: Path, policy: DeployedPolicy, env: VecEnv, agent: Agent, rows: int = 1000
) -> list[Difference]:
    """Plays the policy and has the exported files act on the same observations.

    Args:
        folder: Contains ``policy.onnx`` and ``policy.pt``.
        policy: What was exported.
        env: Environments of the task.
        agent: The trained agent.
        rows: The least number of observations.

    Raises:
        UsageError: onnxruntime is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError as error:
        said = f"--check needs the package onnxruntime; {INSTALL}"
        raise UsageError(said, key="--check") from error
    session = onnxruntime.InferenceSession(str(folder / "policy.onnx"))
    script = torch.jit.load(str(folder / "policy.pt"))
    names = policy.signature.inputs

    def by_onnx(*inputs: Tensor) -> list[Tensor]:
        values = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
        return [torch.from_numpy(x) for x in session.run(None, values)]

    def by_script(*inputs: Tensor) -> list[Tensor]:
        said = script(*inputs)
        return list(said) if isinstance(said, tuple) else [said]

    runners = {"policy.onnx": by_onnx, "policy.pt": by_script}
    return _play(runners, policy, env, agent, rows)


def _play(
    runners: dict[str, Any], policy: DeployedPolicy, env: VecEnv, agent: Agent, rows: int
) -> list[Difference]:
    memory, shown = agent.no_memory(env.num_envs), env.reset()
    states = {name: policy.examples(env.num_envs)[1:] for name in runners}
    worst, seen = dict.fromkeys(runners, 0.0), 0
    while seen < rows:
        actions, memory = agent.act_deterministic(shown, memory)
        wanted = actions.clamp(-env.action_limit, env.action_limit).cpu()
        observations = shown[:, policy.columns].cpu().to(policy.dtype)
        for name, run in runners.items():
            said, *after = run(observations, *states[name])
            away = (said.to(wanted.dtype) - wanted).abs() / wanted.abs().clamp(min=1.0)
            worst[name], states[name] = max(worst[name], float(away.max())), tuple(after)
        seen += len(shown)
        step = env.step(actions)
        shown, done = step.observations, step.terminated | step.truncated
        if memory is not None:
            memory = memory.masked_fill(done[:, None].to(memory.device), 0.0)
            kept = ~done.cpu()[None, :, None]
            states = {name: tuple(x * kept for x in past) for name, past in states.items()}
    return [Difference(name, largest, seen) for name, largest in worst.items()]
