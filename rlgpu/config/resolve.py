"""Fills in values that depend on the rest of a configuration, and rejects invalid ones."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import replace

from rlgpu.config.algorithms import check_used
from rlgpu.config.limits import Range
from rlgpu.config.schema import Config, TrainConfig
from rlgpu.errors import Conflict, UsageError

COMPILED_STEPS = 10_000
"""Control steps of a run from which compiling for a CPU, half a minute at first, pays off."""
PLAY_NUM_ENVS = 16
"""Default number of environments when playing back a policy."""


def resolve(
    config: Config, explicit: Collection[str], *, devices: Sequence[str]
) -> tuple[Config, list[str]]:
    """Returns the configuration with all numbers and devices resolved, and notes for the user.

    Args:
        config: The composed configuration.
        explicit: The keys given on the command line or by a saved run.
        devices: Types of devices that the engine runs on; the first is its default.

    Raises:
        UsageError: Values contradict each other, or a device is not available.
    """
    if "num_envs" not in explicit:
        num_envs = PLAY_NUM_ENVS if config.test else config.task.num_envs
        config = replace(config, num_envs=num_envs)
    if "max_iterations" not in explicit:
        config = replace(config, max_iterations=config.train.max_iterations)
    check_relations(config.train)
    if not (config.test or config.checkpoint):  # a run of before may have such settings
        check_used(config.train, config.algorithm)
    config = _resolve_devices(config, devices)
    if config.compile is None:
        num_steps = config.max_iterations * config.train.horizon_length
        on_cpu = config.sim_device == config.rl_device == "cpu"
        pays = not on_cpu or num_steps >= COMPILED_STEPS
        config = replace(config, compile=pays and not config.test)
    if config.seed == -1:
        drawn = random.SystemRandom().randrange(10000)
        config = replace(config, seed=42 if config.torch_deterministic else drawn)
    return _resolve_minibatches(config, explicit)


def check_relations(train: TrainConfig) -> None:
    """Checks that values go together.

    Raises:
        Conflict: They do not; the message says which and what to do.
    """
    ordered = [("min_log_std", "initial_log_std"), ("initial_log_std", "max_log_std")]
    if train.schedule != "constant":
        ordered += [("min_learning_rate", "learning_rate")]
    if train.schedule == "adaptive":
        ordered += [("learning_rate", "max_learning_rate")]
    lists = {len(x) for x in (train.image_channels, train.image_kernels, train.image_strides)}
    if len(lists) > 1:
        raise Conflict(
            "train.image_channels, train.image_kernels and train.image_strides must be of one "
            "length",
            key="train.image_kernels",
            value=train.image_kernels,
            other="train.image_strides",
        )
    if train.critic_learning_rate and not (train.separate or train.critic_hidden_sizes):
        raise Conflict(
            f"train.critic_learning_rate={train.critic_learning_rate} needs train.separate=True: a "
            "shared network has one learning rate",
            key="train.critic_learning_rate",
            value=train.critic_learning_rate,
            other="train.separate",
        )
    if train.kl_reference == "last_visit" and train.minibatch_order == "shuffled":
        raise Conflict(
            "train.kl_reference=last_visit: minibatches must have the same rows in each epoch; add "
            "train.minibatch_order=by_env, contiguous or shuffled_once",
            key="train.kl_reference",
            value=train.kl_reference,
            other="train.minibatch_order",
        )
    if train.sequence_length and train.horizon_length % train.sequence_length:
        raise Conflict(
            f"train.sequence_length={train.sequence_length} must divide train.horizon_length="
            f"{train.horizon_length}",
            key="train.sequence_length",
            value=train.sequence_length,
            other="train.horizon_length",
        )
    for low, high in ordered:
        least, most = getattr(train, low), getattr(train, high)
        if least > most:
            raise Conflict(
                f"train.{low}={least} is larger than train.{high}={most}; change one of them",
                key=f"train.{low}",
                value=least,
                other=f"train.{high}",
            )


def _resolve_devices(config: Config, devices: Sequence[str]) -> Config:
    if config.sim_device == "auto":
        default = devices[0]
        import torch  # noqa: PLC0415  (slow; a refusal does not need it)

        if default == "cuda" and not torch.cuda.is_available():
            raise Conflict(
                f"sim={config.sim.engine}: it needs an NVIDIA GPU and torch sees none "
                f"(torch {torch.__version__}); use sim=auto, or sim_device=cpu, which is slow",
                key="sim",
                value=config.sim.engine,
                other="sim_device",
            )
        config = replace(config, sim_device="cuda:0" if default == "cuda" else "cpu")
    if config.rl_device == "auto":
        config = replace(config, rl_device=config.sim_device)
    config = replace(
        config,
        sim_device=_device("sim_device", config.sim_device),
        rl_device=_device("rl_device", config.rl_device),
    )
    if config.sim_device != "cpu" and "cuda" not in devices:
        raise Conflict(
            f"sim_device={config.sim_device}: sim={config.sim.engine} runs on the CPU; "
            "use sim_device=cpu (rl_device may still be a GPU), or sim=mujoco_warp",
            key="sim_device",
            value=config.sim_device,
            allowed=devices,
            other="sim",
        )
    return config


def _device(key: str, wanted: str) -> str:
    """Returns a device's full name.

    Raises:
        UsageError: It is not available.
    """
    if wanted == "cpu":
        return "cpu"
    import torch  # noqa: PLC0415  (slow; a refusal does not need it)

    index, count = torch.device(wanted).index or 0, torch.cuda.device_count()
    if index >= count:
        raise UsageError(
            f"{key}={wanted}: torch sees {count} CUDA devices; "
            f"use {key}=cpu, or install an NVIDIA driver and a CUDA build of torch",
            key=key,
            value=wanted,
            allowed=("cpu", *(f"cuda:{number}" for number in range(count))),
        )
    return f"cuda:{index}"


def count_minibatches(train: TrainConfig, num_envs: int) -> int:
    """Returns the number of equal minibatches of a rollout: the one asked for, or the smallest.

    Args:
        train: Contains the horizon and either the number or the largest size of minibatches.
        num_envs: Number of environments N.

    Raises:
        Conflict: The number does not divide the rollout.
    """
    rows = train.horizon_length * num_envs
    if not train.num_minibatches:
        return minibatch_split(rows, train.minibatch_size, train.rows_together)
    items = rows // train.rows_together
    if items % train.num_minibatches:
        kind = "rows" if train.rows_together == 1 else "sequences"
        raise Conflict(
            f"train.num_minibatches={train.num_minibatches} must divide {items}, the {kind} of a "
            "rollout",
            key="train.num_minibatches",
            value=train.num_minibatches,
            other="train.horizon_length",
        )
    return train.num_minibatches


def check_normalized_rows(train: TrainConfig, batch_size: int, minibatch_size: int) -> None:
    """Checks that advantages are normalised over several rows: a single one always becomes 0.

    Args:
        train: Contains how advantages are normalised.
        batch_size: Rows of a rollout, T*N.
        minibatch_size: Rows of a minibatch.

    Raises:
        Conflict: They are not, so that the policy would learn nothing.
    """
    how = train.normalize_advantages
    rows = {"global": batch_size, "minibatch": minibatch_size}.get(how, 2)
    if rows == 1 and not train.distillation.only:
        kind = "a rollout" if how == "global" else "a minibatch"
        raise Conflict(
            f"train.normalize_advantages={how}: {kind} has one row, whose advantage becomes 0, so "
            "the policy would learn nothing; use fewer minibatches, more environments or a longer "
            "train.horizon_length",
            key="train.normalize_advantages",
            value=how,
            other="train.minibatch_size" if how == "minibatch" else "train.horizon_length",
        )


def minibatch_split(batch_size: int, minibatch_size: int, sequence_length: int = 1) -> int:
    """Returns the smallest number of equal minibatches of at most ``minibatch_size`` rows.

    Args:
        batch_size: Rows in a rollout, T*N.
        minibatch_size: Largest number of rows, at least ``sequence_length``.
        sequence_length: Rows that stay together; divides ``batch_size``.
    """
    items = batch_size // sequence_length
    fewest = -(-batch_size // max(minibatch_size, sequence_length))
    return next(k for k in range(fewest, items + 1) if items % k == 0)


def _resolve_minibatches(config: Config, given: Collection[str]) -> tuple[Config, list[str]]:
    batch_size = config.train.horizon_length * config.num_envs
    wanted = config.train.minibatch_size
    if config.test or config.algorithm != "PPO":
        return config, []
    explicit = "train.minibatch_size" in given
    if explicit and "train.num_minibatches" not in given:  # as a preset may say
        config = replace(config, train=replace(config.train, num_minibatches=0))
    if explicit and wanted > batch_size:
        raise Conflict(
            f"train.minibatch_size={wanted} is larger than the batch of {batch_size} rows "
            f"(train.horizon_length={config.train.horizon_length} x num_envs={config.num_envs}); "
            f"use at most {batch_size}",
            key="train.minibatch_size",
            value=wanted,
            allowed=[Range(1, batch_size)],
            other="train.horizon_length",
        )
    size = batch_size // count_minibatches(config.train, config.num_envs)
    check_normalized_rows(config.train, batch_size, size)
    if config.train.num_minibatches:
        return replace(config, train=replace(config.train, minibatch_size=size)), []
    if size == wanted:
        return config, []
    train = replace(config.train, minibatch_size=size)
    note = f"train.minibatch_size changed from {wanted} to {size}, a divisor of {batch_size} rows"
    return replace(config, train=train), [note]
