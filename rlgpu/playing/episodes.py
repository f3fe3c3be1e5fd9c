"""Playing back without rendering: returns and lengths of finished episodes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rlgpu.device import one_torch_thread
from rlgpu.device.stopping import Stopping
from rlgpu.envs import Environments, Step
from rlgpu.learner import Agent

LONGEST = 100_000
"""Steps after which an episode is no longer waited for."""


class Policy:
    """A trained policy, which acts by its most likely actions."""

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
    """Steps the environments with the policy's most likely actions."""

    def __init__(self, env: Environments, agent: Agent) -> None:
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


class _Tally:
    """Returns and lengths of the first episodes of every environment."""

    def __init__(self, env: Environments, per_env: int) -> None:
        """Starts with none.

        Args:
            env: The environments, freshly reset.
            per_env: Episodes to count in each environment.
        """
        self._per_env = per_env
        self._longest = max(LONGEST, env.episode_length)
        count = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self._played, self._age, self._length = count, count.clone(), count.clone()
        self._running = torch.zeros(env.num_envs, dtype=torch.float64, device=env.device)
        self._return = self._running.clone()

    def add(self, step: Step) -> None:
        """Counts a step."""
        ended = step.terminated | step.truncated
        counted = ended & (self._played < self._per_env)
        self._age += 1
        self._running += step.rewards
        self._return += torch.where(counted, self._running, 0.0)
        self._length += torch.where(counted, self._age, 0)
        self._played += counted
        self._age.masked_fill_(ended, 0)
        self._running.masked_fill_(ended, 0.0)

    @property
    def is_waiting(self) -> bool:
        """Whether an episode that is to be counted may still end."""
        return bool(((self._played < self._per_env) & (self._age < self._longest)).any())

    def text(self) -> str:
        """Returns mean return and length; episodes that have not ended are not in them."""
        wanted, ended = self._per_env * len(self._played), int(self._played.sum())
        per_env = f"{self._per_env} per environment"
        if not ended:
            return (
                f"none of {wanted} episodes, {per_env}, has ended; the longest has "
                f"{int(self._age.max())} steps"
            )
        counted = f"{ended} episodes" if ended == wanted else f"{ended} of {wanted} episodes"
        text = (
            f"{counted}, {per_env}: mean return {self._return.sum().item() / ended:.1f}, mean "
            f"length {self._length.sum().item() / ended:.1f}"
        )
        if ended == wanted:
            return text
        return f"{text}; the others, which may be the longest, have not ended"


def play_episodes(env: Environments, agent: Agent, games: int, note: Callable[[str], None]) -> None:
    """Plays the same number of episodes in every environment and reports mean return and length.

    Taking the first episodes to finish instead would favour short ones and bias the means low. So
    would a limit on their length: environments end their own episodes. One that goes on for 100 000
    steps is given up, and reported as one that has not ended; so are those that Ctrl-C cuts short.

    Args:
        env: The environments, freshly reset.
        agent: The policy; its means are the actions.
        games: Total episodes to play, rounded up to a multiple of the number of environments.
        note: Called with the line to print.
    """
    tally, player = _Tally(env, -(-games // env.num_envs)), Player(env, agent)
    for total in env.reported.values():
        total.zero_()
    taken = 0
    with Stopping() as stopping:
        while tally.is_waiting and not stopping.asked:
            tally.add(player.step())
            taken += 1
    if env.reported and taken:
        means = {name: float(total) / taken for name, total in env.reported.items()}
        note("means: " + ", ".join(f"{name} {mean:.4g}" for name, mean in means.items()))
    note(tally.text())


def play_until_stopped(env: Environments, agent: Agent, note: Callable[[str], None]) -> None:
    """Plays in the engine's own viewer until it is closed or Ctrl-C."""
    note("playing; close the window or press Ctrl-C to stop")
    player = Player(env, agent)
    with Stopping() as stopping:
        while not stopping.asked:
            player.step()
