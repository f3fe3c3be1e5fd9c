"""Options of PPO: each is one file, called at the points that ``base`` defines."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.device import derived_seed
from rlgpu.errors import Conflict, UsageError
from rlgpu.learner.options.base import Option
from rlgpu.learner.options.curiosity import Curiosity
from rlgpu.learner.options.distillation import Distillation, Teacher
from rlgpu.learner.options.fillers import Fillers
from rlgpu.learner.options.first_epoch import FirstEpochStatistics
from rlgpu.learner.options.symmetry import Mirror, Symmetry
from rlgpu.nn import ActorCritic, RunningNormalizer
from rlgpu.nn.distributions import Gaussian
from rlgpu.ops import Kernels, Precision
from rlgpu.spaces import ObservationSpace

__all__ = ["Fillers", "Mirror", "Option", "Teacher", "make_options"]


def make_options(
    config: TrainConfig,
    network: ActorCritic,
    normalizer: RunningNormalizer,
    kernels: Kernels,
    precision: Precision,
    *,
    space: ObservationSpace,
    mirror: Mirror | None,
    teacher: Teacher | None,
    fillers: Option | None,
    num_minibatches: int,
    stop: Tensor,
    seed: int,
) -> list[Option]:
    """Returns what a configuration adds to PPO.

    Args:
        config: Contains the options' settings.
        network: The actor-critic.
        normalizer: Of the observations.
        kernels: Implementation of the ops.
        precision: Precision of networks' matrix products.
        space: The observations.
        mirror: How the task looks in a mirror, if it says.
        teacher: A trained policy, if one is to be learned from.
        fillers: What leaves out steps that only reset their environment, if there are any.
        num_minibatches: Minibatches per epoch.
        stop: Whether the KL has stopped the update, shape [], bool.
        seed: Seed of networks that options have.

    Raises:
        UsageError: The task or the network does not suit an option.
    """
    options: list[Option] = [fillers] if fillers else []
    if fillers and network.memory_size:
        said = "a recurrent network needs environments that reset in the step that ends"
        raise UsageError(said, key="train.memory", value=config.memory)
    device = normalizer.scale.device
    if config.curiosity.weight:
        if any(part.kind == "image" for part in space.parts):
            said = "train.curiosity.weight: curiosity about images is not available"
            raise UsageError(said, key="train.curiosity.weight", value=config.curiosity.weight)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, 1))  # not the next run's seed
            options.append(Curiosity(config, space.size, normalizer, kernels, precision, device))
    if config.statistics_update == "first_epoch":
        if config.symmetry.augment:
            raise Conflict(
                "train.symmetry and train.statistics_update=first_epoch do not go together: add "
                "train.statistics_update=after",
                key="train.symmetry",
                other="train.statistics_update",
            )
        if normalizer.enabled:
            options.append(FirstEpochStatistics(normalizer, num_minibatches, stop))
    if config.symmetry.augment:
        if mirror is None:
            said = "train.symmetry: the task does not say how it looks in a mirror"
            raise UsageError(said, key="train.symmetry")
        _check_symmetry(network, teacher)
        options.append(Symmetry(mirror, normalizer))
    if teacher is not None:
        options.append(Distillation(config, teacher))
    return options


def _check_symmetry(network: ActorCritic, teacher: Teacher | None) -> None:
    """Refuses symmetry beside what it does not go with."""
    if teacher is not None:
        said = "train.symmetry and train.distillation do not go together"
        raise Conflict(said, key="train.symmetry", other="train.distillation")
    if not isinstance(network.distribution, Gaussian) or network.memory_size:
        raise Conflict(
            "train.symmetry needs train.action_distribution=gaussian, "
            "train.state_dependent_std=False and train.memory=none",
            key="train.symmetry",
            other="train.memory" if network.memory_size else "train.action_distribution",
        )
