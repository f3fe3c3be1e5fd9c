"""Fills in values that depend on the rest of a configuration, and rejects invalid ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch

from rlgpu.config.schema import Config
from rlgpu.errors import UsageError

PLAY_NUM_ENVS = 16
"""Default number of environments when playing back a policy."""


def resolve(
    config: Config, given: Mapping[str, Any], *, devices: Sequence[str]
) -> tuple[Config, list[str]]:
    """Returns the configuration with all numbers and devices resolved, and notes for the user.

    Args:
        config: The composed configuration.
        given: The keys and values given on the command line.
        devices: Types of devices that the engine runs on; the first is its default.

    Raises:
        UsageError: A value is out of range, or a device is not available.
    """
    if "num_envs" not in given:
        num_envs = PLAY_NUM_ENVS if config.test else config.task.num_envs
        config = replace(config, num_envs=num_envs)
    if "max_iterations" not in given:
        config = replace(config, max_iterations=config.train.max_iterations)
    _check_ranges(config)
    config = _resolve_devices(config, devices)
    if config.seed == -1:
        drawn = random.SystemRandom().randrange(10000)
        config = replace(config, seed=42 if config.torch_deterministic else drawn)
    return _resolve_minibatches(config, explicit="train.minibatch_size" in given)


def _check_ranges(config: Config) -> None:
    for key in ("num_envs", "max_iterations", "games", "capture_video_freq", "capture_video_len"):
        _at_least(key, getattr(config, key), 1)
    for key in ("horizon_length", "num_epochs", "minibatch_size", "save_interval"):
        _at_least(f"train.{key}", getattr(config.train, key), 1)
    for key in ("gamma", "gae_lambda"):
        if not 0.0 <= getattr(config.train, key) <= 1.0:
            raise UsageError(f"train.{key}={getattr(config.train, key)}: must be from 0 to 1")
    _at_least("train.learning_rate", config.train.learning_rate, 0)
    # The integer settings of an engine are sizes; 0 leaves the choice to the engine.
    for field in fields(config.sim):
        value = getattr(config.sim, field.name)
        if isinstance(value, int):
            _at_least(f"sim.{field.name}", value, 0)
    _at_least("seed", config.seed, -1)


def _at_least(key: str, value: float, low: float) -> None:
    if value < low:
        raise UsageError(f"{key}={value}: must be at least {low}")


def _resolve_devices(config: Config, devices: Sequence[str]) -> Config:
    if config.sim_device == "auto":
        default = devices[0]
        if default == "cuda" and not torch.cuda.is_available():
            raise UsageError(
                f"sim={config.sim.engine}: it needs an NVIDIA GPU and torch sees none "
                f"(torch {torch.__version__}); use sim=auto, or sim_device=cpu for Warp's slow "
                "CPU device"
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
        raise UsageError(
            f"sim_device={config.sim_device}: sim={config.sim.engine} runs on the CPU; "
            "use sim_device=cpu (rl_device may still be a GPU), or sim=mujoco_warp"
        )
    return config


def _device(key: str, wanted: str) -> str:
    """Returns a device's full name.

    Raises:
        UsageError: It is not a CPU or CUDA device, or is not available.
    """
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UsageError(f"{key}={wanted}: wanted auto, cpu or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"{key}={wanted}: wanted auto, cpu or cuda:N")
    if device.type == "cpu":
        return "cpu"
    index, count = device.index or 0, torch.cuda.device_count()
    if index >= count:
        raise UsageError(
            f"{key}={wanted}: torch sees {count} CUDA devices; "
            f"use {key}=cpu, or install an NVIDIA driver and a CUDA build of torch"
        )
    return f"cuda:{index}"


def minibatch_split(batch_size: int, minibatch_size: int) -> int:
    """Returns the smallest number of equal minibatches of at most ``minibatch_size`` rows.

    Args:
        batch_size: Rows in a rollout, T*N.
        minibatch_size: Largest number of rows, at least 1.
    """
    fewest = -(-batch_size // minibatch_size)
    return next(k for k in range(fewest, batch_size + 1) if batch_size % k == 0)


def _resolve_minibatches(config: Config, *, explicit: bool) -> tuple[Config, list[str]]:
    batch_size = config.train.horizon_length * config.num_envs
    wanted = config.train.minibatch_size
    if config.test:
        return config, []
    if explicit and wanted > batch_size:
        raise UsageError(
            f"train.minibatch_size={wanted} is larger than the batch of {batch_size} rows "
            f"(train.horizon_length={config.train.horizon_length} x num_envs={config.num_envs}); "
            f"use at most {batch_size}"
        )
    size = batch_size // minibatch_split(batch_size, wanted)
    if size == wanted:
        return config, []
    train = replace(config.train, minibatch_size=size)
    note = f"train.minibatch_size changed from {wanted} to {size}, a divisor of {batch_size} rows"
    return replace(config, train=train), [note]
