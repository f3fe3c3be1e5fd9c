"""PPO: act, compute advantages, update. Sees tensors only.

Nothing between the start of a rollout and the end of the update reads a device tensor on the host:
the learning rate, the early-stopping flag and the metrics are tensors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.learner.schedules import adaptive_learning_rate, linear_learning_rate
from rlgpu.nn import ActorCritic, FlatParameters, RunningNormalizer
from rlgpu.ops import METRICS, AdamHyperparameters, AdamState, Kernels, PpoBatch, PpoCoefficients
from rlgpu.storage import RolloutStorage

APPROX_KL = METRICS.index("approx_kl")
KL_STOP_FACTOR = 1.5
"""Updates stop once a minibatch's KL exceeds this times ``target_kl``. Source: spinningup, SB3."""


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
                mlp=kernels.mlp,
            ).to(device)
        self.flat = FlatParameters(self.network)
        normalized = config.normalize_observations
        self.observation_normalizer = RunningNormalizer(num_observations, enabled=normalized)
        self.value_normalizer = RunningNormalizer(1, enabled=config.normalize_values)
        for normalizer in (self.observation_normalizer, self.value_normalizer):
            normalizer.to(device)
        self.adam = AdamState.fresh(self.flat.params)
        self.learning_rate = torch.tensor(config.learning_rate, device=device)
        self.iteration = torch.zeros((), dtype=torch.int64, device=device)
        self.rng_state = torch.tensor([seed, 0], dtype=torch.int64, device=device)
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self._old_log_std = torch.zeros(num_actions, device=device)
        self._coefficients = PpoCoefficients(
            config.clip_ratio,
            config.value_loss_coef,
            config.clip_value,
            config.entropy_coef,
            config.bounds_loss_coef,
        )
        self._adam_constants = AdamHyperparameters(
            eps=config.adam_eps, max_grad_norm=config.max_grad_norm
        )

    @torch.no_grad()
    def act(self, observations: Tensor, storage: RolloutStorage, t: int) -> Tensor:
        """Returns sampled actions, [N, O] -> [N, A], and writes slot ``t`` of the rollout."""
        storage.observations[t] = observations
        storage.normalized[t] = self.observation_normalizer.normalize(observations)
        policy = self.network(storage.normalized[t])
        storage.mean[t], storage.values[t] = policy
        self.kernels.sample_actions(
            storage.mean[t],
            self.network.log_std,
            self.rng_state,
            actions=storage.actions[t],
            log_probs=storage.log_probs[t],
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
        stop = torch.zeros((), dtype=torch.bool, device=self.device)
        steps = torch.zeros((), device=self.device)
        sums = torch.zeros(len(METRICS), device=self.device)
        last_kl = torch.zeros((), device=self.device)
        grad_norm = torch.zeros((), device=self.device)
        for batch in self._all_minibatches(storage):
            metrics, stop, grad_norm = self._step(batch, stop)
            last_kl = metrics[APPROX_KL]
            steps += ~stop
            sums += metrics * ~stop
            # The skipped steps change nothing. Where reading the flag is free, stop in earnest.
            if self.device.type == "cpu" and bool(stop):
                break
            if config.schedule == "adaptive":
                self._adapt_learning_rate(last_kl, stop)
        self.observation_normalizer.update(storage.observations)
        self.iteration += 1
        means = dict(zip(METRICS, sums / steps.clamp(min=1.0), strict=True))
        return UpdateMetrics(
            **means,
            last_kl=last_kl,
            grad_norm=grad_norm,
            learning_rate=self.learning_rate.clone(),
            epochs=steps / self.num_minibatches,
            explained_variance=explained_variance,
            log_std=self.network.log_std.detach().mean(),
        )

    def _all_minibatches(self, storage: RolloutStorage) -> Any:
        order = self.config.minibatch_order
        for _ in range(self.config.num_epochs):
            yield from storage.minibatches(self.num_minibatches, order, self.generator)

    def _step(self, batch: PpoBatch, stop: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Takes one optimiser step unless ``stop`` is, or now becomes, set.

        Returns:
            The minibatch's metrics, the flag, and the norm of the gradients.
        """
        config, flat = self.config, self.flat
        metrics = self._backward(batch)
        if config.target_kl > 0:
            stop = stop | (metrics[APPROX_KL] > KL_STOP_FACTOR * config.target_kl)
        grad_norm = self.kernels.adam_step(
            flat.params, self.adam, flat.grads, self.learning_rate, stop, self._adam_constants
        )
        with torch.no_grad():
            self.network.log_std.clamp_(config.min_log_std, config.max_log_std)
        return metrics, stop, grad_norm

    def _backward(self, batch: PpoBatch) -> Tensor:
        """Leaves the gradients of the minibatch in ``flat.grads``; returns its metrics."""
        if self.config.normalize_advantages == "minibatch":
            advantages = batch.advantages
            centred = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
            batch = batch._replace(advantages=centred)
        mean, values = self.network(batch.observations)
        gradients = self.kernels.ppo_loss(
            mean.detach(),
            self.network.log_std.detach(),
            values.detach(),
            batch,
            self._old_log_std,
            self._coefficients,
        )
        self.flat.grads.zero_()
        torch.autograd.backward([mean, values], [gradients.mean, gradients.values])
        assert self.network.log_std.grad is not None
        self.network.log_std.grad.copy_(gradients.log_std)
        return gradients.metrics

    def _adapt_learning_rate(self, approx_kl: Tensor, stop: Tensor) -> None:
        config = self.config
        adapted = adaptive_learning_rate(
            self.learning_rate,
            approx_kl,
            config.adaptive_kl,
            config.min_learning_rate,
            config.max_learning_rate,
        )
        # Skipped minibatches have no say.
        self.learning_rate.copy_(torch.where(stop, self.learning_rate, adapted))

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
            "generator": self.generator.get_state(),
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
        self.generator.set_state(state["generator"].cpu())
