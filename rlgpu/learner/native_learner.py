"""PPO's acting and its update in one call each, for the usual settings on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.device import ThreadChoice, torch_threads
from rlgpu.learner.optimizer import Optimizer
from rlgpu.learner.options import Option
from rlgpu.learner.progress import KL_STOP_FACTOR, UpdateProgress
from rlgpu.learner.storage import RolloutStorage
from rlgpu.nn import ActorCritic, FlatParameters, RunningNormalizer
from rlgpu.nn.distributions import Categorical, Gaussian
from rlgpu.nn.normalizer import CLIP
from rlgpu.ops import (
    AdaptWhen,
    Kernels,
    Layer,
    Precision,
    UpdateNetworks,
    UpdateRules,
    has_ppo_update,
    mlp,
    policy_act,
    ppo_update,
)
from rlgpu.ops.ppo_update import MAX_HALF_WIDTH, MAX_PARAMETERS


class Trained(Protocol):
    """The parts of an agent that an update changes or depends on."""

    config: TrainConfig
    network: ActorCritic
    kernels: Kernels
    flat: FlatParameters
    optimizer: Optimizer
    coefficients: Tensor
    num_minibatches: int
    options: list[Option]
    observation_normalizer: RunningNormalizer
    rng_state: Tensor


class NativeLearner:
    """A step of acting, and all minibatches of an update, in one call each."""

    def __init__(self, agent: Trained, precision: Precision) -> None:
        """Describes the networks to the op.

        Args:
            agent: An agent that ``is_suitable``.
            precision: Precision of its matrix products.
        """
        config, network, optimizer = agent.config, agent.network, agent.optimizer
        self._config, self._flat, self._optimizer = config, agent.flat, optimizer
        self._coefficients, self._num_minibatches = agent.coefficients, agent.num_minibatches
        self._threads = ThreadChoice(torch.get_num_threads())
        self._normalizer, self._rng_state = agent.observation_normalizer, agent.rng_state
        distribution = self._distribution = network.distribution
        choices = distribution.choices if isinstance(distribution, Categorical) else []
        self._networks = UpdateNetworks(
            layers=[
                Layer(number, weight.shape[1], weight.shape[0], _place(weight), _place(bias))
                for number, tower in enumerate(network.towers)
                for weight, bias in tower.layers.weights_and_biases
            ],
            activation=config.activation,  # type: ignore[arg-type]  # silu is not suitable
            log_std=0 if choices else _place(distribution.log_std),
            choices=choices,
            groups=optimizer.places,
            rate_ratios=optimizer.ratios,
            precision=precision,
            columns=_columns(network),
        )
        self._rules = UpdateRules(
            kl_limit=KL_STOP_FACTOR * config.target_kl,
            adaptive_kl=config.adaptive_kl,
            min_learning_rate=config.min_learning_rate,
            max_learning_rate=config.max_learning_rate,
            min_log_std=config.min_log_std,
            max_log_std=config.max_log_std,
        )

    @staticmethod
    def is_suitable(agent: Trained, precision: Precision, *, use_compile: bool = False) -> bool:
        """Returns whether the op computes all that an agent asks for.

        It does not compute options, bfloat16 products of CPUs without AMX or of layers wider than
        ``MAX_HALF_WIDTH``, recurrent or image networks, layer normalisation, masked choices,
        standard deviations by the network, advantages normalised by minibatch, or other libraries'
        KL divergences.

        Args:
            agent: The agent.
            precision: Precision of its matrix products.
            use_compile: Whether torch.compile is asked to fuse the arithmetic between the ops.
        """
        config, network = agent.config, agent.network
        distribution = network.distribution
        return (
            agent.kernels.mlp is mlp  # the compiled one
            and not agent.options
            and not use_compile
            and has_ppo_update(agent.flat.params.device, precision)
            and network.is_plain
            and (precision != "bf16" or _max_width(network) <= MAX_HALF_WIDTH)
            and type(distribution) in (Gaussian, Categorical)
            and distribution.num_outputs <= MAX_PARAMETERS
            and config.normalize_advantages != "minibatch"
            and (config.kl_estimate, config.kl_reference) == ("forward", "rollout")
        )

    @classmethod
    def if_suitable(
        cls, agent: Trained, precision: Precision, *, use_compile: bool = False
    ) -> NativeLearner | None:
        """Returns one for the agent, or None unless it ``is_suitable``."""
        suits = cls.is_suitable(agent, precision, use_compile=use_compile)
        return cls(agent, precision) if suits else None

    def act(self, storage: RolloutStorage, t: int) -> bool:
        """Acts on slot ``t`` of a rollout, and returns whether it can: for Gaussian actions.

        Args:
            storage: The rollout.
            t: Index of the slot.
        """
        observations, normalizer = storage.observations[t], self._normalizer
        if self._networks.choices or observations.dtype != torch.float32:
            return False
        policy_act(
            observations,
            normalizer.scale if normalizer.enabled else None,
            normalizer.offset if normalizer.enabled else None,
            CLIP,
            self._flat.params,
            self._rng_state,
            storage.normalized_observations[t],
            storage.slot(t),
            networks=self._networks,
        )
        return True

    def run(
        self,
        storage: RolloutStorage,
        orders: Sequence[Tensor | None],
        progress: UpdateProgress,
        learning_rate: Tensor,
    ) -> None:
        """Trains on all minibatches, or until the KL is too large.

        Args:
            storage: A complete rollout with advantages.
            orders: For each epoch a permutation of the rows, shape [``num_items``], int64; None for
                the order of time.
            progress: Progress of the update, overwritten.
            learning_rate: Overwritten if the schedule is adaptive, shape [].
        """
        config = self._config
        in_time = torch.arange(storage.num_items)
        adapt_when: AdaptWhen = config.adapt_when if config.schedule == "adaptive" else "never"
        ids = torch.stack([in_time if ids is None else ids for ids in orders])
        steps = partial(float, progress.steps)  # the KL may stop an update early
        with self._threads.measured(steps) as num_threads, torch_threads(num_threads):
            ppo_update(
                self._flat.params,
                self._flat.grads,
                self._optimizer.state,
                progress,
                learning_rate,
                storage.batch(),
                ids,
                self._distribution.old_log_std,
                self._coefficients,
                networks=self._networks,
                num_minibatches=self._num_minibatches,
                adam=self._optimizer.constants,
                rules=self._rules,
                adapt_when=adapt_when,
                adapt_from_start=config.adapt_from_start,
            )


def _columns(network: ActorCritic) -> list[int]:
    """Returns the columns that each network sees; none if all see all in order."""
    seen = [tower.columns for tower in network.towers]
    every = list(range(network.num_observations))
    if all(columns == every for columns in seen):
        return []
    return [column for columns in seen for column in columns]


def _max_width(network: ActorCritic) -> int:
    """Returns the most inputs or units of a layer."""
    towers = [tower.layers.weights_and_biases for tower in network.towers]
    return max(max(weight.shape) for layers in towers for weight, _ in layers)


def _place(parameter: Tensor) -> int:
    """Returns where a parameter begins in the flat parameters."""
    return int(parameter.storage_offset())
