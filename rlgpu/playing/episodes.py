"""Playing back without rendering: returns and lengths of finished episodes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rlgpu.device import one_torch_thread
from rlgpu.envs import Step, VecEnv
from rlgpu.learner import Agent
from rlgpu.stopping import Stopping


class Policy:
    """A trained policy, which acts by its likeliest actions."""

    def __init__(self, agent: Agent, num_envs: int) -> None:
        """Starts without memory.

        Args:
            agent: The agent that was trained.
            num_envs: Number of environments.
        """
        self._agent = agent
        self._memory = agent.no_memory(num_envs)

    def act(self, observations: Tensor, ended: Tensor | None = None) -> Tensor:
        """Returns actions, [N, O] -> [N, A].

        Args:
            observations: Shape [N, O].
            ended: Whether an episode ended with the last step, shape [N], bool; a recurrent policy
                forgets it then.
        """
        device = self._agent.device
        if self._memory is not None and ended is not None:
            self._memory = self._memory.masked_fill(ended.to(device)[:, None], 0.0)
        with one_torch_thread(device):
            actions, self._memory = self._agent.act_deterministic(
                observations.to(device), self._memory
            )
        return actions


class Player:
    """Steps the environments with the policy's likeliest actions."""

    def __init__(self, env: VecEnv, agent: Agent) -> None:
        """Starts without memory.

        Args:
            env: The environments.
            agent: The policy.
        """
        self._env, self._policy = env, Policy(agent, env.num_envs)
        self._ended: Tensor | None = None

    def step(self) -> Step:
        """Acts and steps once."""
        actions = self._policy.act(self._env.observations, self._ended)
        step = self._env.step(actions.to(self._env.device))
        self._ended = step.terminated | step.truncated
        return step


def play_episodes(env: VecEnv, agent: Agent, games: int, note: Callable[[str], None]) -> None:
    """Plays the same number of episodes in every environment and reports mean return and length.

    Taking the first episodes to finish instead would favour short ones and bias the means low.

    Args:
        env: The environments, freshly reset.
        agent: The policy; its means are the actions.
        games: Total episodes to play, rounded up to a multiple of the number of environments.
        note: Called with the line to print.
    """
    per_env = -(-games // env.num_envs)
    played = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
    returns = torch.zeros(env.num_envs, dtype=torch.float64, device=env.device)
    steps = torch.zeros_like(played)
    player = Player(env, agent)
    for total in env.reported.values():
        total.zero_()
    # Every episode ends by the time limit at the latest.
    taken = 0
    for _ in range(per_env * env.task.config.episode_length):
        step = player.step()
        taken += 1
        counted = played < per_env
        returns += torch.where(counted, step.rewards, 0.0)
        steps += counted
        played += step.terminated | step.truncated
        if bool((played >= per_env).all()):
            break
    if env.reported:
        means = {name: float(total) / taken for name, total in env.reported.items()}
        note("means: " + ", ".join(f"{name} {mean:.4g}" for name, mean in means.items()))
    episodes = per_env * env.num_envs
    note(
        f"{episodes} episodes, {per_env} per environment: mean return "
        f"{returns.sum().item() / episodes:.1f}, mean length {steps.sum().item() / episodes:.1f}"
    )


def play_until_stopped(env: VecEnv, agent: Agent, note: Callable[[str], None]) -> None:
    """Plays in the engine's own viewer until it is closed or Ctrl-C."""
    note("playing; close the window or press Ctrl-C to stop")
    player = Player(env, agent)
    with Stopping() as stopping:
        while not stopping.asked:
            player.step()
