"""PPO: acting, advantages and updates, on tensors only.

On a GPU the host reads no device tensor between the start of a rollout and the end of the update:
the learning rate, the early-stopping flag and the metrics are tensors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.device import Skipping, compiled, generator_seed, host_may_read
from rlgpu.learner.augmented import normalized, ppo_coefficients, ppo_gradients
from rlgpu.learner.divergence import Divergence
from rlgpu.learner.filler_rows import explained_variance, without_fillers
from rlgpu.learner.metrics import UpdateMetrics
from rlgpu.learner.native_learner import NativeLearner
from rlgpu.learner.optimizer import Optimizer
from rlgpu.learner.options import Fillers, Mirror, Teacher, make_options
from rlgpu.learner.progress import APPROX_KL, UpdateProgress, account, adapt, check_kl
from rlgpu.learner.recurrence import RecurrentStorage
from rlgpu.learner.schedules import anneal, back_off
from rlgpu.learner.storage import Minibatch, RolloutStorage, epoch_orders
from rlgpu.nn import ActorCritic, FlatParameters, RunningNormalizer
from rlgpu.nn.distributions import make_distribution
from rlgpu.ops import METRICS, Kernels, PpoBatch, Precision
from rlgpu.spaces import ActionSpace, ObservationSpace


class Ppo:
    """The agent: networks, normalisers, optimiser state, and how they are updated."""

    def __init__(
        self,
        config: TrainConfig,
        observation_space: ObservationSpace,
        action_space: ActionSpace,
        *,
        max_iterations: int,
        num_minibatches: int,
        kernels: Kernels,
        device: torch.device,
        seed: int,
        precision: Precision = "fp32",
        use_compile: bool = False,
        skipping: bool = True,
        mirror: Mirror | None = None,
        teacher: Teacher | None = None,
        fillers: bool = False,
    ) -> None:
        """Builds a fresh agent.

        Args:
            config: Hyperparameters.
            observation_space: The observations.
            action_space: The actions.
            max_iterations: Length of the run, for the linear schedule.
            num_minibatches: Minibatches per epoch.
            kernels: Implementation of the ops.
            device: Device of all tensors.
            seed: Seed of the weights, the actions and the minibatch order.
            precision: Precision of the networks' matrix products, in acting and in training.
            use_compile: Whether torch.compile fuses the scalar arithmetic between the ops.
            skipping: Whether a captured update skips what follows its early stop (CUDA 12.4).
            mirror: How the task looks in a mirror, for ``train.symmetry``.
            teacher: A trained policy, for ``train.distillation``.
            fillers: Whether rollouts have steps that only reset their environment.
        """
        self.config, self.kernels, self.device = config, kernels, device
        self.observation_space, self.host_may_read = observation_space, host_may_read(device)
        self.max_iterations, self.num_minibatches = max_iterations, num_minibatches
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator_seed(seed))
            self.distribution = make_distribution(action_space, config, kernels)
            network = ActorCritic(observation_space, self.distribution, config, kernels, precision)
            self.network = network.to(device)
        self._divergence = Divergence.if_needed(config, self.distribution)
        self.flat = FlatParameters(*self.network.groups())
        self.observation_normalizer = RunningNormalizer.of_observations(
            observation_space, kernels, enabled=config.normalize_observations
        ).to(device)
        values = RunningNormalizer(1, kernels, enabled=config.normalize_values)
        self.value_normalizer = values.to(device)
        self.optimizer = Optimizer(self.flat, config, kernels)
        self.learning_rate = torch.tensor(config.learning_rate, device=device)
        self.linear_share = torch.ones((), device=device)  # of the linear schedule's rate
        self.iteration, self.rng_state = (torch.tensor(x, device=device) for x in (0, [seed, 0]))
        self.coefficients = ppo_coefficients(config).tensor(device)
        self.progress = UpdateProgress.fresh(device)
        self._skipping = Skipping(device, enabled=skipping and config.target_kl > 0)
        self._check_kl = compiled(check_kl, use_compile)
        self._account = compiled(account, use_compile)
        self._back_off = compiled(back_off, use_compile)
        self.options = make_options(
            config, self.network, self.observation_normalizer, kernels, precision, seed=seed,
            space=observation_space, mirror=mirror, teacher=teacher, stop=self.progress.stop,
            num_minibatches=num_minibatches, fillers=Fillers(config) if fillers else None,
        )  # fmt: skip
        self._native = NativeLearner.if_suitable(self, precision, use_compile=use_compile)

    def new_storage(self, num_envs: int) -> RolloutStorage:
        """Returns the storage that this agent's rollouts need."""
        config, space = self.config, self.observation_space
        distribution = self.distribution
        sizes = (
            config.horizon_length, num_envs, space.size, distribution.num_actions,
            distribution.num_outputs, self.device,
        )  # fmt: skip
        kind = getattr(torch, space.dtype)
        if not self.network.memory_size:
            return RolloutStorage(*sizes, kind=kind)
        return RecurrentStorage(
            *sizes,
            memory_size=self.network.memory_size,
            sequence_length=config.rows_together,
            kind=kind,
        )

    @torch.no_grad()
    def act(self, storage: RolloutStorage, t: int) -> Tensor:
        """Samples actions for the observations in slot ``t`` and stores the results in the slot.

        Returns:
            The actions for the environments, unclipped, shape [N, A].
        """
        if self._native and self._native.act(storage, t):
            return self.distribution.applied(storage.actions[t])
        normalized = self.observation_normalizer.normalize(
            storage.observations[t], out=storage.normalized_observations[t]
        )
        policy = self.network(normalized, storage.memory_before(t))
        self.distribution.sample(policy.outputs, policy.values, self.rng_state, storage.slot(t))
        storage.keep_memory(t, policy.memory)
        return self.distribution.applied(storage.actions[t])

    @property
    def nonfinite_steps(self) -> Tensor:
        """Optimiser steps skipped because gradients were not finite, shape []."""
        return self.optimizer.nonfinite_steps

    def no_memory(self, num_envs: int) -> Tensor | None:
        """Returns what is remembered at the start of an episode, shape [N, M]; None without any."""
        size = self.network.memory_size
        return torch.zeros(num_envs, size, device=self.device) if size else None

    @torch.no_grad()
    def act_deterministic(
        self, observations: Tensor, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the most likely actions and what is remembered then, for playing back a policy.

        Args:
            observations: Shape [N, O].
            memory: What is remembered so far, first from ``no_memory``, shape [N, M].
        """
        policy = self.network(self.observation_normalizer.normalize(observations), memory)
        return self.distribution.applied(self.distribution.mode(policy.outputs)), policy.memory

    @torch.no_grad()
    def outputs(self, observations: Tensor) -> Tensor:
        """Returns the parameters of the distributions for raw observations, [B, O] -> [B, P]."""
        policy = self.network(self.observation_normalizer.normalize(observations))
        outputs: Tensor = policy.outputs
        return outputs

    @torch.no_grad()
    def compute_advantages(self, storage: RolloutStorage) -> Tensor:
        """Computes advantages and returns into the storage and updates the value normaliser.

        Returns:
            The explained variance of the values with respect to the returns, shape [].
        """
        config = self.config
        storage.carry_memory()
        values = self.denormalize(storage.values)
        terminated = storage.terminated
        if config.time_limit_bootstrap == "none":
            terminated = storage.ended
        final = config.time_limit_bootstrap == "final"
        rewards = storage.learned_rewards(config)
        for option in self.options:
            added = option.rewards(storage)
            rewards = rewards if added is None else rewards + added
        if storage.filler is not None:
            rewards = torch.where(storage.filler, values, rewards)  # their advantage is then 0
        advantages, returns = self.kernels.gae(
            rewards,
            values,
            terminated,
            storage.truncated,
            self._final_values(storage) if final else values,
            self._value(storage.last_observations, storage.carried),
            gamma=config.gamma,
            gae_lambda=config.gae_lambda,
            normalize=config.normalize_advantages == "global",
        )
        explained = explained_variance(values, returns, storage.filler)
        self.value_normalizer.update(without_fillers(returns, storage.filler)[..., None])
        storage.advantages.copy_(advantages)
        # Returns are normalised by the new statistics. The stored values stay as the network output
        # them: the clipped value loss compares its output with them, and both must be equal until
        # the critic changes. (In the new units, 55 to 74 % of the rows lost their gradient in the
        # first iterations.)
        storage.returns.copy_(self._normalize(returns))
        return explained

    def update(self, storage: RolloutStorage) -> UpdateMetrics[Tensor]:
        """Trains on a complete rollout for ``num_epochs`` epochs, or until the KL is too large."""
        explained = self.compute_advantages(storage)
        self._prepare(storage)
        if self._native:
            self._native.run(storage, self._orders(storage), self.progress, self.learning_rate)
        else:
            self._step_by_step(storage)
        if self.config.statistics_update == "after":
            self._update_observation_statistics(storage)
        self.iteration += 1
        progress = self.progress
        if self.config.schedule == "linear":
            self._back_off(
                self.linear_share, progress.steps, progress.stop,
                self.num_minibatches, self.config.kl_backoff,
            )  # fmt: skip
        means = dict(zip(METRICS, progress.sums / progress.steps.clamp(min=1.0), strict=True))
        return UpdateMetrics(
            **means,
            last_kl=progress.last_kl.clone(),
            grad_norm=progress.grad_norm.clone(),
            learning_rate=self.learning_rate.clone(),
            epochs=progress.steps / self.num_minibatches,
            explained_variance=explained,
            log_std=self.distribution.mean_log_std(storage.parameters.flatten(0, 1)),
            nonfinite_steps=self.nonfinite_steps,
        )

    def _prepare(self, storage: RolloutStorage) -> None:
        """Sets the learning rate and everything else that stays the same during an update."""
        anneal(
            self.learning_rate, self.config, self.iteration, self.max_iterations, self.linear_share
        )
        if self.config.statistics_update == "before":
            self._update_observation_statistics(storage)
            storage.normalized_observations.copy_(
                self.observation_normalizer.normalize(storage.observations)
            )
        for option in self.options:
            option.prepare(storage)
        self.distribution.remember()
        self.progress.reset()
        if self._divergence:
            self._divergence.begin()

    def _update_observation_statistics(self, storage: RolloutStorage) -> None:
        self.observation_normalizer.update(without_fillers(storage.observations, storage.filler))

    def _step_by_step(self, storage: RolloutStorage) -> None:
        """Trains on all minibatches, each with the options' parts."""
        for index, ids in self._minibatches(storage):
            with self._skipping.unless(self.progress.stop):
                minibatch = storage.minibatch(
                    index, self.num_minibatches, ids, self.kernels.gather_rows
                )
                self._step(minibatch, index)
            # Steps after the stop have no effect; skip them where reading the flag is free.
            if self.host_may_read and bool(self.progress.stop):
                break

    def _minibatches(self, storage: RolloutStorage) -> list[tuple[int, Tensor | None]]:
        """Returns each minibatch's index and the permutation that it is a slice of."""
        orders = self._orders(storage)
        return [(index, ids) for ids in orders for index in range(self.num_minibatches)]

    def _orders(self, storage: RolloutStorage) -> list[Tensor | None]:
        """Returns each epoch's permutation of the rows; None for the order of time."""
        orders = epoch_orders(storage, self.config, self.kernels.shuffle, self.rng_state)
        for option in self.options:
            orders = [option.order(ids) for ids in orders]
        return orders

    def _step(self, minibatch: Minibatch, index: int = 0) -> None:
        """Takes one optimiser step unless the stop flag is set before it or by this minibatch."""
        for option in self.options:
            minibatch = option.minibatch(minibatch)
        metrics = self._backward(minibatch, index)
        for option in self.options:
            option.step(minibatch, self.progress.stop)
        with torch.no_grad():
            self._check_kl(self.progress, metrics, self.config)
            ends_epoch = index == self.num_minibatches - 1
            if self.config.schedule == "adaptive" and self.config.adapt_when == "before_step":
                adapt(
                    self.progress, metrics, self.learning_rate, self.config, ends_epoch=ends_epoch
                )
            grad_norm = self.optimizer.step(self.learning_rate, self.progress.stop)
            log_std = self.distribution.log_std.detach()
            self._account(
                self.progress, metrics, grad_norm, self.learning_rate, log_std, self.config,
                ends_epoch=ends_epoch,
            )  # fmt: skip

    def _backward(self, minibatch: Minibatch, index: int = 0) -> Tensor:
        """Writes the gradients of the minibatch to ``flat.grads`` and returns its metrics."""
        batch, sequences, _, num_original = minibatch
        if self.config.normalize_advantages == "minibatch":
            batch = batch._replace(advantages=normalized(batch.advantages, num_original))
        if sequences is None:
            outputs, values, _ = self.network(batch.normalized_observations)
        else:
            outputs, values, _ = self.network.sequences(batch.normalized_observations, sequences)
        found = ppo_gradients(
            self.distribution, outputs, values, batch, self.coefficients, num_original
        )
        gradients = found.outputs
        for option in self.options:
            added = option.gradients(outputs, minibatch)
            gradients = gradients if added is None else gradients + added
        trained = [(outputs, gradients), (values, found.values)]
        if self.distribution.log_std.requires_grad:
            trained.append((self.distribution.log_std, found.log_std))
        self.flat.backward(*zip(*trained, strict=True))
        if self._divergence:
            original = PpoBatch(*(x[:num_original] for x in batch))
            found.metrics[APPROX_KL] = self._divergence.of(index, outputs[:num_original], original)
        return found.metrics

    def _final_values(self, storage: RolloutStorage) -> Tensor:
        """Returns values of the final observations, shape [T, N]; valid only where truncated."""
        after = storage.memory_after
        if not self.host_may_read:
            memory = None if after is None else after.flatten(0, 1)
            final = storage.final_observations.flatten(0, 1)
            return self._value(final, memory).view_as(storage.values)
        final_values = torch.zeros_like(storage.values)
        ids = storage.truncated.nonzero(as_tuple=True)
        if ids[0].numel() > 0:
            final_values[ids] = self._value(
                storage.final_observations[ids], None if after is None else after[ids]
            )
        return final_values

    def _value(self, observations: Tensor, memory: Tensor | None = None) -> Tensor:
        """Returns values in the reward's units, [B, O] and [B, M] -> [B]."""
        normalized = self.observation_normalizer.normalize(observations)
        return self.denormalize(self.network.value(normalized, memory))

    def _normalize(self, values: Tensor) -> Tensor:
        return self.value_normalizer.normalize(values[..., None]).squeeze(-1)

    def denormalize(self, values: Tensor) -> Tensor:
        """Returns the critic's values in the reward's units, [...] -> [...]."""
        return self.value_normalizer.denormalize(values[..., None]).squeeze(-1)

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of everything needed to continue training."""
        return {
            "network": {k: v.clone() for k, v in self.network.state_dict().items()},
            "observation_normalizer": self.observation_normalizer.state_dict(),
            "value_normalizer": self.value_normalizer.state_dict(),
            "adam": self.optimizer.state_dict(),
            "learning_rate": self.learning_rate.clone(),
            "linear_share": self.linear_share.clone(),
            "configured_learning_rate": self.config.learning_rate,
            "iteration": self.iteration.clone(),
            "rng_state": self.rng_state.clone(),
            "options": {option.name: option.state_dict() for option in self.options},
        }

    def load_policy(self, state: dict[str, Any]) -> None:
        """Restores only the weights, and the normalisers in whose units they compute."""
        self.network.load_state_dict(state["network"])
        self.observation_normalizer.load_state_dict(state["observation_normalizer"])
        self.value_normalizer.load_state_dict(state["value_normalizer"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        If the configured ``learning_rate`` has changed since, it replaces the saved rate.
        """
        self.load_policy(state)
        self.optimizer.load_state_dict(state["adam"])
        unchanged = state["configured_learning_rate"] == self.config.learning_rate
        if unchanged:
            self.learning_rate.copy_(state["learning_rate"])
            self.linear_share.copy_(state.get("linear_share", self.linear_share))
        self.iteration.copy_(state["iteration"])
        self.rng_state.copy_(state["rng_state"])
        for option in self.options:
            option.load_state_dict(state["options"].get(option.name, option.state_dict()))
