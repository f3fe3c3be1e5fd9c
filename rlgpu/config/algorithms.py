"""Which keys of ``train`` an algorithm does not use, so that it refuses them."""

from __future__ import annotations

import dataclasses
from dataclasses import fields

from rlgpu.config.schema import Algorithm, TrainConfig
from rlgpu.errors import NoEffect

_NOT_BY_DQN = (
    "num_epochs", "num_minibatches", "minibatch_order", "gae_lambda", "time_limit_bootstrap",
    "clip_ratio", "value_loss_coef", "clip_value", "entropy_coef", "bounds_loss_coef",
    "critic_learning_rate", "max_learning_rate", "adaptive_kl", "adapt_when", "adapt_from_start",
    "kl_estimate", "kl_reference", "target_kl", "kl_backoff", "clip_gradients",
    "statistics_update", "normalize_values", "normalize_advantages", "separate",
    "critic_hidden_sizes", "memory", "memory_size", "memory_layers", "sequence_length",
    "action_distribution", "state_dependent_std", "weight_init", "initial_log_std", "min_log_std",
    "max_log_std", "curiosity", "symmetry", "distillation",
)  # fmt: skip
_SHOWN = 4
_UNUSED: dict[Algorithm, tuple[str, ...]] = {"PPO": ("dqn",), "DQN": _NOT_BY_DQN}


def check_used(train: TrainConfig, algorithm: Algorithm) -> None:
    """Checks that an algorithm uses every value that is not the default.

    Raises:
        NoEffect: It does not; the message names the keys.
    """
    default, unused = TrainConfig(), []
    for name in _UNUSED[algorithm]:
        value, usual = getattr(train, name), getattr(default, name)
        if value == usual:
            continue
        if dataclasses.is_dataclass(usual):
            changed = [
                f"{name}.{field.name}={getattr(value, field.name)}"
                for field in fields(usual)
                if getattr(value, field.name) != getattr(usual, field.name)
            ]
        else:
            changed = [f"{name}={value}"]
        unused += [f"train.{each}" for each in changed]
    if algorithm == "DQN" and train.schedule == "adaptive":
        unused.append("train.schedule=adaptive")
    if unused:
        verb = "has" if len(unused) == 1 else "have"
        more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
        other = "PPO" if algorithm == "DQN" else "DQN"
        key, _, value = unused[0].partition("=")
        raise NoEffect(
            f"{', '.join(unused[:_SHOWN])}{more} {verb} no effect with algorithm={algorithm}; "
            f"leave out what is not the default, or use algorithm={other}",
            key=key,
            value=value,
            needs=f"algorithm={other}",
        )


def without_unused(train: TrainConfig, algorithm: Algorithm) -> TrainConfig:
    """Returns settings with the defaults of the keys that an algorithm does not use."""
    default = TrainConfig()
    return dataclasses.replace(
        train, **{name: getattr(default, name) for name in _UNUSED[algorithm]}
    )
