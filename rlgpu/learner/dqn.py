"""Deep Q-learning for discrete actions: double, dueling, n-step, with replay on the device.

Like PPO's, an update on a GPU reads no device tensor on the host: how full the replay buffer is,
the exploration rate and the learning rate are tensors.

Source: Mnih et al. 2015; van Hasselt et al. 2016 (double); Wang et al. 2016 (dueling).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from rlgpu.config import TrainConfig, check_used
from rlgpu.device import generator_seed
from rlgpu.errors import Conflict, NoEffect
from rlgpu.learner.metrics import UpdateMetrics
from rlgpu.learner.optimizer import Optimizer
from rlgpu.learner.replay import Replay, Transitions
from rlgpu.learner.schedules import anneal, exploration_rate
from rlgpu.learner.storage import RolloutStorage
from rlgpu.nn import FlatParameters, RunningNormalizer, Tower
from rlgpu.nn.distributions import Categorical, uniform_noise
from rlgpu.ops import Kernels, Precision
from rlgpu.spaces import ActionSpace, Discrete, ObservationSpace


class QNetwork(nn.Module):
    """Maps normalised observations to the values of all choices."""

    def __init__(
        self,
        space: ObservationSpace,
        num_choices: int,
        config: TrainConfig,
        kernels: Kernels,
        precision: Precision,
    ) -> None:
        """Builds the layers.

        Args:
            space: The observations.
            num_choices: Number of choices C.
            config: Contains the kinds and sizes of the layers.
            kernels: Implementation of the ops.
            precision: Precision of the operands of matrix products.
        """
        super().__init__()
        masks = space.columns(space.of("actor", "mask"))
        self._mask = slice(masks[0], masks[-1] + 1) if masks else None
        self._dueling = config.dqn.dueling
        outputs = num_choices + int(self._dueling)
        self.tower = Tower(space, "actor", outputs, config.hidden_sizes, config, kernels, precision)

    def forward(self, observations: Tensor) -> Tensor:
        """Returns values, [B, O] -> [B, C]; -inf for choices that a mask forbids."""
        outputs, _ = self.tower(observations)
        if self._dueling:
            advantages = outputs[:, :-1]
            outputs = outputs[:, -1:] + advantages - advantages.mean(-1, keepdim=True)
        if self._mask is None:
            return outputs
        return outputs.masked_fill(observations[:, self._mask] == 0, -math.inf)


class Dqn:
    """The agent: online and target network, replay, and how they are updated."""

    def __init__(
        self,
        config: TrainConfig,
        observation_space: ObservationSpace,
        action_space: ActionSpace,
        *,
        max_iterations: int,
        num_envs: int,
        kernels: Kernels,
        device: torch.device,
        seed: int,
        precision: Precision = "fp32",
    ) -> None:
        """Builds a fresh agent.

        Args:
            config: Hyperparameters; those of DQN alone are ``config.dqn``.
            observation_space: The observations.
            action_space: The actions: one choice.
            max_iterations: Length of the run, for the schedules.
            num_envs: Number of environments N.
            kernels: Implementation of the ops.
            device: Device of all tensors.
            seed: Seed of the weights, the actions and the samples.
            precision: Precision of the networks' matrix products.

        Raises:
            Conflict: The actions are not one choice.
            NoEffect: A setting has no effect.
        """
        if not isinstance(action_space, Discrete) or action_space.size != 1:
            said = "algorithm=DQN takes tasks with one discrete action; use PPO"
            raise Conflict(said, key="algorithm", value="DQN", other="task")
        if config.memory != "none":
            said = f"train.memory={config.memory}: DQN has no memory; use algorithm=PPO"
            raise NoEffect(said, key="train.memory", value=config.memory, needs="algorithm=PPO")
        check_used(config, "DQN")
        self.config, self.kernels, self.device = config, kernels, device
        self.observation_space, self.max_iterations = observation_space, max_iterations
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator_seed(seed))
            sizes = (observation_space, action_space.choices[0], config, kernels, precision)
            self.network, self.target = (QNetwork(*sizes).to(device) for _ in range(2))
        self.flat = FlatParameters(list(self.network.parameters()))
        self._target_flat = FlatParameters(list(self.target.parameters()))
        self._target_flat.params.copy_(self.flat.params)
        self.distribution = Categorical(action_space.choices, kernels)
        self.observation_normalizer = RunningNormalizer.of_observations(
            observation_space, kernels, enabled=config.normalize_observations
        ).to(device)
        self.optimizer = Optimizer(self.flat, config, kernels)
        self.learning_rate = torch.tensor(config.learning_rate, device=device)
        self.iteration = torch.zeros((), dtype=torch.int64, device=device)
        self.rng_state = torch.tensor([seed, 0], dtype=torch.int64, device=device)
        self._replay: Replay | None = None
        rows = config.horizon_length * num_envs
        self.num_updates = max(round(rows * config.dqn.replay_ratio / config.minibatch_size), 1)
        """Optimiser steps after each rollout."""

    @property
    def nonfinite_steps(self) -> Tensor:
        """Optimiser steps skipped because gradients were not finite, shape []."""
        return self.optimizer.nonfinite_steps

    def new_storage(self, num_envs: int) -> RolloutStorage:
        """Returns the storage for rollouts; the replay buffer is made with it."""
        space = self.observation_space
        storage = RolloutStorage(
            self.config.horizon_length,
            num_envs,
            space.size,
            1,
            self.distribution.num_outputs,
            self.device,
            kind=getattr(torch, space.dtype),
        )
        self._replay = Replay(storage, self.config.dqn.buffer_size)
        held = self._replay.num_slots * num_envs
        if held < self.config.dqn.learning_starts:
            raise Conflict(
                f"train.dqn.learning_starts={self.config.dqn.learning_starts}: the replay buffer "
                f"holds {held} transitions, so learning would never start; use a larger "
                "train.dqn.buffer_size",
                key="train.dqn.learning_starts",
                value=self.config.dqn.learning_starts,
                other="train.dqn.buffer_size",
            )
        return storage

    @torch.no_grad()
    def act(self, storage: RolloutStorage, t: int) -> Tensor:
        """Chooses the best action or, sometimes, any; stores the results in slot ``t``."""
        normalized = self.observation_normalizer.normalize(
            storage.observations[t], out=storage.normalized_observations[t]
        )
        values = self.network(normalized)
        best = values.argmax(-1, keepdim=True)
        rate = exploration_rate(self.config.dqn, self.iteration, self.max_iterations)
        allowed = values.isfinite()
        probs = rate * allowed / allowed.sum(-1, keepdim=True)
        probs = probs.scatter_add(-1, best, (1.0 - rate).expand_as(best))
        highest = values.gather(-1, best).squeeze(-1)
        self.distribution.sample(probs.log(), highest, self.rng_state, storage.slot(t))
        return storage.actions[t]

    def no_memory(self, num_envs: int) -> None:
        """Returns None: the network remembers nothing."""

    @torch.no_grad()
    def act_deterministic(
        self, observations: Tensor, memory: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """Returns the best choices, [N, O] -> [N, 1]."""
        values = self.network(self.observation_normalizer.normalize(observations))
        return values.argmax(-1, keepdim=True).float(), None

    def update(self, storage: RolloutStorage) -> UpdateMetrics[Tensor]:
        """Adds a rollout to the replay buffer and takes ``num_updates`` optimiser steps."""
        config, replay = self.config, self._replay
        assert replay is not None
        anneal(self.learning_rate, config, self.iteration, self.max_iterations)
        replay.add(storage, storage.learned_rewards(config))
        self.observation_normalizer.update(storage.observations)
        waiting = replay.filled * storage.num_envs < config.dqn.learning_starts
        waiting |= replay.filled < config.dqn.n_step
        sums = torch.zeros(5, device=self.device)
        for _ in range(self.num_updates):
            sums += self._step(waiting)
        self.iteration += 1
        loss, variance, error, grad_norm, taken = sums / self.num_updates
        none = torch.zeros((), device=self.device)
        return UpdateMetrics(
            surrogate_loss=none,
            value_loss=loss,
            entropy=self.distribution.entropy(storage.parameters.flatten(0, 1)).mean(),
            bounds_loss=none,
            approx_kl=none,
            clip_fraction=none,
            last_kl=none,
            grad_norm=grad_norm,
            learning_rate=self.learning_rate.clone(),
            epochs=taken * config.dqn.replay_ratio,
            explained_variance=1.0 - error / variance,
            log_std=none,
            nonfinite_steps=self.nonfinite_steps,
        )

    def _step(self, waiting: Tensor) -> Tensor:
        """Takes one optimiser step unless waiting.

        Returns:
            Loss, variances of targets and errors, gradient norm, whether it was taken, shape [5].
        """
        config, dqn = self.config, self.config.dqn
        assert self._replay is not None
        with torch.no_grad():
            places = torch.empty(config.minibatch_size, 2, device=self.device)
            uniform = uniform_noise(self.kernels, self.rng_state, places)
            batch = self._replay.sample(uniform, config.gamma, dqn.n_step)
            targets = self._targets(batch)
        values = self.network(self.observation_normalizer.normalize(batch.observations))
        taken = values.gather(-1, batch.actions.long()).squeeze(-1)
        loss = nn.functional.smooth_l1_loss(taken, targets)
        self.flat.backward([loss], [torch.ones_like(loss)])
        with torch.no_grad():
            grad_norm = self.optimizer.step(self.learning_rate, waiting)
            self._target_flat.params.lerp_(self.flat.params, dqn.target_rate)
            error = (targets - taken).var()
            taken = (~waiting & grad_norm.isfinite()).float()
            return torch.stack((loss.detach(), targets.var(), error, grad_norm, taken))

    def _targets(self, batch: Transitions) -> Tensor:
        """Returns what the values of the actions taken should be, shape [B]."""
        normalized = self.observation_normalizer.normalize(batch.next_observations)
        values = self.target(normalized)
        chosen = self.network(normalized) if self.config.dqn.double else values
        best = values.gather(-1, chosen.argmax(-1, keepdim=True)).squeeze(-1)
        # After a failure every choice may be forbidden, and -inf times 0 is no number.
        following = torch.where(batch.discounts > 0, batch.discounts * best, 0.0)
        return batch.rewards + following

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of everything but the replay buffer, which fills again on resuming."""
        return {
            "network": {k: v.clone() for k, v in self.network.state_dict().items()},
            "target": {k: v.clone() for k, v in self.target.state_dict().items()},
            "observation_normalizer": self.observation_normalizer.state_dict(),
            "adam": self.optimizer.state_dict(),
            "iteration": self.iteration.clone(),
            "rng_state": self.rng_state.clone(),
        }

    def load_policy(self, state: dict[str, Any]) -> None:
        """Restores only the weights, the target network's too, and the observation normaliser."""
        self.network.load_state_dict(state["network"])
        self.target.load_state_dict(state["target"])
        self.observation_normalizer.load_state_dict(state["observation_normalizer"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self.load_policy(state)
        self.optimizer.load_state_dict(state["adam"])
        self.iteration.copy_(state["iteration"])
        self.rng_state.copy_(state["rng_state"])
