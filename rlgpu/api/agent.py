"""PPO as an object for loops of the user's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlgpu.api.spaces import Spaces
from rlgpu.config import Range, TrainConfig, check_actions, closest_key, convert
from rlgpu.config.limits import hints_of
from rlgpu.config.presets import read_preset
from rlgpu.config.resolve import check_normalized_rows, check_relations, count_minibatches
from rlgpu.device import one_torch_thread
from rlgpu.errors import Misfit, NoEffect, UnknownKey, UsageError
from rlgpu.learner import Ppo
from rlgpu.ops import KernelsName, select_kernels
from rlgpu.training import EpisodeStatistics

_FORMAT = 1


class Action(NamedTuple):
    """What the policy says of some observations."""

    actions: Any
    """For the environments: a tensor [N, A] for spaces of rlgpu, else what Gymnasium's space
    takes."""
    log_probs: Tensor
    """Log-probabilities of the actions, shape [N]."""
    values: Tensor
    """The critic's values, in the reward's units, shape [N]."""
    parameters: Tensor
    """Of the actions' distributions, such as means or logits, shape [N, P]."""


class PPOAgent:
    """Acts, observes what follows, and learns from it.

    ``act``, step the environments, ``observe``; when ``ready``, ``update``.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        num_envs: int = 1,
        *,
        preset: str = "none",
        max_iterations: int = 1000,
        action_bounds: tuple[float, float] | None = None,
        autoreset: Literal["same_step", "next_step"] = "same_step",
        seed: int = 0,
        device: str | torch.device = "cpu",
        kernels: KernelsName = "compiled",
        **settings: Any,
    ) -> None:
        """Builds a fresh agent.

        Args:
            observation_space: Of one environment: rlgpu's or Gymnasium's.
            action_space: Of one environment: rlgpu's or Gymnasium's.
            num_envs: Number of environments N.
            preset: As on the command line, such as ``rl_games``.
            max_iterations: Updates until a linear learning rate has ended.
            action_bounds: Lowest and highest action; those of the space if None.
            autoreset: When the environments reset: in the step in which an episode ends, or in
                the next (Gymnasium's default for vector environments), which is then not
                trained on.
            seed: Seed of the weights, the actions and the minibatches.
            device: Of the networks; observations may be anywhere.
            kernels: ``compiled`` or ``torch``.
            **settings: Keys of ``train`` on the command line, such as ``learning_rate=1e-3``.

        Raises:
            UsageError: A setting or a space is not one that can be used.
        """
        if not 0 <= seed < 2**63:
            said, allowed = f"seed={seed}: must be from 0 to 2**63 - 1", Range(0, 2**63 - 1)
            raise UsageError(said, key="seed", value=seed, allowed=[allowed])
        self._spaces = Spaces(observation_space, action_space, action_bounds)
        self.num_envs, self.device = num_envs, torch.device(device)
        check_actions(self._spaces.actions, settings, prefix="")
        config = _config({**read_preset(preset), **settings}, num_envs)
        rows = config.horizon_length * num_envs
        self.horizon_length = config.horizon_length
        self._ppo = Ppo(
            config,
            self._spaces.observations,
            self._spaces.actions,
            max_iterations=max_iterations,
            num_minibatches=rows // config.minibatch_size,
            kernels=select_kernels(kernels, self.device),
            device=self.device,
            seed=seed,
            fillers=autoreset == "next_step",
        )
        self._has_fillers = autoreset == "next_step"
        self._begin()

    def _begin(self) -> None:
        """Begins a rollout and new episodes, of which nothing is known yet."""
        self._storage = self._ppo.new_storage(self.num_envs)
        self._ended = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        if self._has_fillers:
            self._storage.filler = torch.zeros_like(self._storage.terminated)
        self._statistics = EpisodeStatistics(self.num_envs, self.horizon_length, self.device)
        self._step, self._acted = 0, False
        self._memory = self._ppo.no_memory(self.num_envs)

    @property
    def model(self) -> torch.nn.Module:
        """The actor-critic network."""
        return self._ppo.network

    @property
    def ready(self) -> bool:
        """Whether a rollout of ``horizon_length`` steps is complete, so ``update`` can learn."""
        return self._step == self.horizon_length

    @torch.no_grad()
    def act(self, observations: Any, deterministic: bool = False) -> Action:
        """Returns actions for observations.

        Args:
            observations: Of all environments, shape [N, ...]; of one, without N, if it is alone.
            deterministic: Whether to take the most likely actions, only to play: ``observe`` is not
                called then.

        Raises:
            UsageError: The observations have the wrong shape, or a rollout is complete.
        """
        with one_torch_thread(self.device):
            return self._act(observations, deterministic)

    def _act(self, observations: Any, deterministic: bool) -> Action:
        rows, alone = self._spaces.rows(observations, self.num_envs, self.device)
        ppo, storage = self._ppo, self._storage
        if deterministic:
            policy = ppo.network(ppo.observation_normalizer.normalize(rows), self._memory)
            stored = ppo.distribution.mode(policy.outputs)
            self._memory = policy.memory
            log_probs = ppo.distribution.log_prob(policy.outputs, stored)
            values, parameters = policy.values, policy.outputs
            taken = ppo.distribution.applied(stored)
        else:
            if self.ready:
                said = "the rollout is complete: call update() before acting on"
                raise UsageError(said, key="act", allowed=["update"])
            storage.observations[self._step].copy_(rows)
            taken = ppo.act(storage, self._step)
            slot = storage.slot(self._step)
            log_probs, parameters, values = slot.log_probs, slot.parameters, slot.values
            self._acted = True
        values = ppo.denormalize(values).clone()
        return Action(
            self._spaces.taken(taken, alone=alone), log_probs.clone(), values, parameters.clone()
        )

    @torch.no_grad()
    def observe(
        self,
        observations: Any,
        rewards: Any,
        terminated: Any,
        truncated: Any = False,
        final_observations: Any = None,
    ) -> None:
        """Takes in what a step of the environments returned: ``agent.observe(*env.step(actions))``.

        Args:
            observations: For the next action; after a reset, of the new episode, shape [N, ...].
            rewards: Shape [N].
            terminated: Whether the episode ended in failure or success, shape [N].
            truncated: Whether it ended by a time limit, shape [N].
            final_observations: Before any reset, shape [N, ...], or Gymnasium's ``info``, which has
                them as ``final_obs``; ``observations`` if None.

        Raises:
            UsageError: ``act`` has not been called.
        """
        if not self._acted:
            said = "observe follows act: there is no action that this step was taken by"
            raise UsageError(said, key="observe", allowed=["act"])
        storage, t = self._storage, self._step
        rows, _ = self._spaces.rows(observations, self.num_envs, self.device)
        ended = [self._column(x).bool() for x in (terminated, truncated)]
        storage.rewards[t].copy_(self._column(rewards))
        storage.terminated[t].copy_(ended[0])
        storage.truncated[t].copy_(ended[1] & ~ended[0])
        storage.final_observations[t].copy_(rows)
        if isinstance(final_observations, Mapping):
            final_observations = final_observations.get("final_obs", ())
            for row in np.flatnonzero([x is not None for x in final_observations]):
                final, _ = self._spaces.rows(final_observations[row], 1, self.device)
                storage.final_observations[t, row].copy_(final[0])
        elif final_observations is not None:
            final, _ = self._spaces.rows(final_observations, self.num_envs, self.device)
            storage.final_observations[t].copy_(final)
        storage.last_observations.copy_(rows)
        if storage.filler is not None:
            storage.filler[t].copy_(self._ended)
            storage.terminated[t].logical_or_(self._ended)
            storage.truncated[t].logical_and_(~self._ended)
            self._ended = (ended[0] | ended[1]) & ~self._ended
        self._step, self._acted = t + 1, False

    def _column(self, values: Any) -> Tensor:
        column = torch.as_tensor(np.asarray(values) if isinstance(values, list) else values)
        return column.to(self.device).reshape(-1).expand(self.num_envs)

    def forget(self) -> None:
        """Begins new episodes for ``act(..., deterministic=True)`` of a recurrent network."""
        self._memory = self._ppo.no_memory(self.num_envs)

    def update(self) -> dict[str, float]:
        """Learns from the complete rollout.

        Returns:
            Metrics by name, such as ``mean_return`` of the last episodes, ``approx_kl``,
            ``clip_fraction``, ``explained_variance`` and ``entropy``.

        Raises:
            UsageError: The rollout is not complete.
        """
        if not self.ready:
            raise UsageError(
                f"the rollout has {self._step} of {self.horizon_length} steps: act and observe on "
                "until agent.ready",
                key="update",
                value=self._step,
                allowed=[self.horizon_length],
            )
        storage = self._storage
        done, steps = storage.ended, None
        if storage.filler is not None:
            done, steps = done & ~storage.filler, ~storage.filler
        self._statistics.update(storage.rewards, done, steps)
        metrics = self._ppo.update(storage)
        self._step = 0
        both = {**self._statistics.means()._asdict(), **metrics._asdict()}
        return {name: float(value) for name, value in both.items()}

    def save(self, path: str | Path) -> None:
        """Saves everything needed to go on, rollout and memory aside."""
        state = {"format": _FORMAT, "agent": self._ppo.state_dict(), "spaces": repr(self._spaces)}
        torch.save(state, path)

    def load(self, path: str | Path) -> None:
        """Restores what ``save`` wrote, into an agent of the same spaces and settings.

        The environments must begin new episodes: their next observations are taken as the first.

        Raises:
            Misfit: The file is not from such an agent.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            if state.get("format") != _FORMAT or state["spaces"] != repr(self._spaces):
                raise ValueError(f"it was saved with other spaces than {self._spaces!r}")
            self._ppo.load_state_dict(state["agent"])
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            said = f"{path} does not fit this agent: {error}"
            raise Misfit(said, path=Path(path)) from error
        self._begin()


def _filled(schema: type, settings: Mapping[str, Any], prefix: str = "") -> Any:
    """Returns a dataclass with some of its fields given; a field that is one, as a mapping."""
    hints = hints_of(schema)
    values = {}
    for name, value in settings.items():
        if name not in hints:
            near = closest_key(name, hints)
            hint = f"; did you mean {near}?" if near else ""
            said = f"{prefix}{name} is not a key of train{hint}"
            raise UnknownKey(said, key=f"{prefix}{name}", instead=near, allowed=hints)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(hints[name]):
            values[name] = _filled(hints[name], value, f"{name}.")
        else:
            values[name] = convert(f"{prefix}{name}", value, hints[name])
    return schema(**values)


def _config(settings: Mapping[str, Any], num_envs: int) -> TrainConfig:
    """Returns a configuration, the minibatches fitted to the rollout."""
    config: TrainConfig = _filled(TrainConfig, settings)
    check_relations(config)
    if config.symmetry.augment or config.distillation.teacher:
        key = "symmetry" if config.symmetry.augment else "distillation"
        said = "symmetry and distillation need a task: use rlgpu.train"
        raise NoEffect(said, key=key, needs="task")
    rows = config.horizon_length * num_envs
    size = rows // count_minibatches(config, num_envs)
    check_normalized_rows(config, rows, size)
    return dataclasses.replace(config, minibatch_size=size)
