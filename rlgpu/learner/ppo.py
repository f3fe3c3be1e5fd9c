"""PPO: act, compute advantages, update. Sees tensors only.

Nothing between the start of a rollout and the end of the update reads a device tensor on the host:
the learning rate, the early-stopping flag and the metrics are tensors.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.graphs import Skipping, fuse
from rlgpu.learner.progress import UpdateProgress, account, judge
from rlgpu.learner.schedules import linear_learning_rate
from rlgpu.nn import ActorCritic, FlatParameters, RunningNormalizer
from rlgpu.ops import (
    METRICS,
    AdamHyperparameters,
    AdamState,
    Kernels,
    PpoBatch,
    PpoCoefficients,
    Precision,
)
from rlgpu.storage import RolloutStorage


class UpdateMetrics(NamedTuple):
    """What an update reports; every field has shape [] and lives on the device."""

    surrogate_loss: Tensor
    value_loss: Tensor
    entropy: Tensor
    bounds_loss: Tensor
    approx_kl: Tensor
    """Mean analytic KL(old || new) over the minibatches that led to a step."""
    clip_fraction: Tensor
    last_kl: Tensor
    """KL(old || new) of the last minibatch looked at, which may have stopped the update."""
    grad_norm: Tensor
    learning_rate: Tensor
    epochs: Tensor
    """Epochs used; fewer than ``num_epochs`` when the KL stopped the update."""
    explained_variance: Tensor
    log_std: Tensor
    """Mean log standard deviation of the actions."""


class Ppo:
    """The agent: networks, normalisers, optimiser state and the rules that change them."""

    def __init__(
        self,
        config: TrainConfig,
        num_observations: int,
        num_actions: int,
        *,
        max_iterations: int,
        num_minibatches: int,
        kernels: Kernels,
        device: torch.device,
        seed: int,
        precision: Precision = "fp32",
        compiled: bool = False,
        skipping: bool = True,
    ) -> None:
        """Builds a fresh agent.

        Args:
            config: Hyper-parameters.
            num_observations: Width of the observations, O.
            num_actions: Width of the actions, A.
            max_iterations: Length of the run, for the linear schedule.
            num_minibatches: Minibatches an epoch.
            kernels: Implementation of the ops.
            device: Where everything lives.
            seed: Seed of the weights, the actions and the minibatch order.
            precision: Of the networks' matrix products, acting and training alike.
            compiled: Whether torch.compile fuses the arithmetic on single numbers between the ops.
            skipping: Whether a captured update leaves out what follows an early stop, where the
                CUDA driver can; without it those steps run and change nothing.
        """
        self.config, self.kernels, self.device = config, kernels, device
        self.max_iterations, self.num_minibatches = max_iterations, num_minibatches
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = ActorCritic(
                num_observations,
                num_actions,
                hidden_sizes=config.hidden_sizes,
                separate=config.separate,
                weight_init=config.weight_init,
                initial_log_std=config.initial_log_std,
                mlp=partial(kernels.mlp, precision=precision),
            ).to(device)
        self.flat = FlatParameters(self.network)
        self.observation_normalizer = RunningNormalizer(
            num_observations, kernels, enabled=config.normalize_observations
        ).to(device)
        self.value_normalizer = RunningNormalizer(1, kernels, enabled=config.normalize_values).to(
            device
        )
        self.adam = AdamState.fresh(self.flat.params)
        self.learning_rate = torch.tensor(config.learning_rate, device=device)
        self.iteration = torch.zeros((), dtype=torch.int64, device=device)
        self.rng_state = torch.tensor([seed, 0], dtype=torch.int64, device=device)
        self._old_log_std = torch.zeros(num_actions, device=device)
        self.coefficients = _coefficients(config).tensor(device)
        self._adam_constants = AdamHyperparameters(
            eps=config.adam_eps, max_grad_norm=config.max_grad_norm
        )
        self.progress = UpdateProgress.fresh(device)
        self._skipping = Skipping(device, enabled=skipping and config.target_kl > 0)
        self._judge, self._account = fuse(judge, compiled), fuse(account, compiled)

    @torch.no_grad()
    def act(self, observations: Tensor, storage: RolloutStorage, t: int) -> Tensor:
        """Returns sampled actions, [N, O] -> [N, A], and writes slot ``t`` of the rollout."""
        storage.observations[t].copy_(observations)
        normalized = self.observation_normalizer.normalize(observations, out=storage.normalized[t])
        policy = self.network(normalized)
        self.kernels.sample_actions(
            policy.mean, policy.values, self.network.log_std, self.rng_state, storage.slot(t)
        )
        return storage.actions[t]

    @torch.no_grad()
    def act_deterministic(self, observations: Tensor) -> Tensor:
        """Returns the means of the actions, [N, O] -> [N, A], for playing back."""
        policy: Tensor = self.network(self.observation_normalizer.normalize(observations)).mean
        return policy

    @torch.no_grad()
    def compute_advantages(self, storage: RolloutStorage) -> Tensor:
        """Fills advantages and returns, and brings the value normaliser up to date.

        Returns:
            The explained variance of the returns by the values, shape [].
        """
        config = self.config
        values = self._denormalize(storage.values)
        advantages, returns = self.kernels.gae(
            storage.rewards * config.reward_scale,
            values,
            storage.terminated,
            storage.truncated,
            self._final_values(storage),
            self._value(storage.last_observations),
            gamma=config.gamma,
            gae_lambda=config.gae_lambda,
            normalize=config.normalize_advantages == "global",
        )
        explained_variance = 1.0 - (returns - values).var() / returns.var()
        self.value_normalizer.update(returns[..., None])
        storage.advantages.copy_(advantages)
        storage.returns.copy_(self._normalize(returns))
        storage.values.copy_(self._normalize(values))
        return explained_variance

    def update(self, storage: RolloutStorage) -> UpdateMetrics:
        """Trains on a finished rollout for ``num_epochs`` epochs, or until the KL says stop."""
        config = self.config
        explained_variance = self.compute_advantages(storage)
        if config.schedule == "linear":
            rate = linear_learning_rate(
                config.learning_rate, config.min_learning_rate, self.iteration, self.max_iterations
            )
            self.learning_rate.copy_(rate)
        self._old_log_std.copy_(self.network.log_std.detach())
        self.progress.reset()
        for index, ids in self._minibatches(storage):
            with self._skipping.unless(self.progress.stop):
                self._step(storage.minibatch(
                    index, self.num_minibatches, ids, self.kernels.gather_rows
                ))  # fmt: skip
            # The skipped steps change nothing. Where reading the flag is free, stop in earnest.
            if self.device.type == "cpu" and bool(self.progress.stop):
                break
        self.observation_normalizer.update(storage.observations)
        self.iteration += 1
        progress = self.progress
        means = dict(zip(METRICS, progress.sums / progress.steps.clamp(min=1.0), strict=True))
        return UpdateMetrics(
            **means,
            last_kl=progress.last_kl.clone(),
            grad_norm=progress.grad_norm.clone(),
            learning_rate=self.learning_rate.clone(),
            epochs=progress.steps / self.num_minibatches,
            explained_variance=explained_variance,
            log_std=self.network.log_std.detach().mean(),
        )

    def _minibatches(self, storage: RolloutStorage) -> list[tuple[int, Tensor | None]]:
        """Returns the update's minibatches: their index and the permutation they are slices of."""
        rows = storage.horizon_length * storage.num_envs
        shuffled = self.config.minibatch_order == "shuffled"
        # All at once: the random numbers used do not depend on when the KL stops the update.
        orders = [
            self.kernels.shuffle(self.rng_state, rows) if shuffled else None
            for _ in range(self.config.num_epochs)
        ]
        return [(index, ids) for ids in orders for index in range(self.num_minibatches)]

    def _step(self, batch: PpoBatch) -> None:
        """Takes one optimiser step unless the stop flag is, or now becomes, set."""
        flat = self.flat
        metrics = self._backward(batch)
        with torch.no_grad():
            self._judge(self.progress, metrics, self.config)
            grad_norm = self.kernels.adam_step(
                flat.params,
                self.adam,
                flat.grads,
                self.learning_rate,
                self.progress.stop,
                self._adam_constants,
            )
            log_std = self.network.log_std.detach()
            self._account(
                self.progress, metrics, grad_norm, self.learning_rate, log_std, self.config
            )

    def _backward(self, batch: PpoBatch) -> Tensor:
        """Leaves the gradients of the minibatch in ``flat.grads``; returns its metrics."""
        if self.config.normalize_advantages == "minibatch":
            advantages = batch.advantages
            centred = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
            batch = batch._replace(advantages=centred)
        mean, values = self.network(batch.observations)
        log_std = self.network.log_std
        gradients = self.kernels.ppo_loss(
            mean.detach(),
            log_std.detach(),
            values.detach(),
            batch,
            self._old_log_std,
            self.coefficients,
        )
        self.flat.backward(
            (mean, values, log_std), (gradients.mean, gradients.values, gradients.log_std)
        )
        return gradients.metrics

    def _final_values(self, storage: RolloutStorage) -> Tensor:
        """Returns values of the true final observations; right only where truncated, [T, N]."""
        if self.device.type != "cpu":
            return self._value(storage.final_observations.flatten(0, 1)).view_as(storage.values)
        final_values = torch.zeros_like(storage.values)
        ids = storage.truncated.nonzero(as_tuple=True)
        if ids[0].numel() > 0:
            final_values[ids] = self._value(storage.final_observations[ids])
        return final_values

    def _value(self, observations: Tensor) -> Tensor:
        """Returns values in the reward's units, [B, O] -> [B]."""
        normalized = self.observation_normalizer.normalize(observations)
        return self._denormalize(self.network.value(normalized))

    def _normalize(self, values: Tensor) -> Tensor:
        return self.value_normalizer.normalize(values[..., None]).squeeze(-1)

    def _denormalize(self, values: Tensor) -> Tensor:
        return self.value_normalizer.denormalize(values[..., None]).squeeze(-1)

    def state_dict(self) -> dict[str, Any]:
        """Returns everything needed to continue bit for bit."""
        return {
            "network": {k: v.clone() for k, v in self.network.state_dict().items()},
            "observation_normalizer": self.observation_normalizer.state_dict(),
            "value_normalizer": self.value_normalizer.state_dict(),
            "adam": {k: v.clone() for k, v in self.adam._asdict().items()},
            "learning_rate": self.learning_rate.clone(),
            "iteration": self.iteration.clone(),
            "rng_state": self.rng_state.clone(),
        }

    def load_policy(self, state: dict[str, Any]) -> None:
        """Restores what acting needs: weights and the observation normaliser."""
        self.network.load_state_dict(state["network"])
        self.observation_normalizer.load_state_dict(state["observation_normalizer"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self.load_policy(state)
        self.value_normalizer.load_state_dict(state["value_normalizer"])
        for name, value in self.adam._asdict().items():
            value.copy_(state["adam"][name])
        self.learning_rate.copy_(state["learning_rate"])
        self.iteration.copy_(state["iteration"])
        self.rng_state.copy_(state["rng_state"])


def _coefficients(config: TrainConfig) -> PpoCoefficients:
    return PpoCoefficients(
        clip_ratio=config.clip_ratio,
        value_loss_coef=config.value_loss_coef,
        clip_value=config.clip_value,
        entropy_coef=config.entropy_coef,
        bounds_loss_coef=config.bounds_loss_coef,
    )
