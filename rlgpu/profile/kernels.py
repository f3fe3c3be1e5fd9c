"""Times of all kernels of an iteration on a GPU, or of all torch operations on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from rlgpu.device import is_gpu
from rlgpu.learner import Ppo
from rlgpu.profile import least_bytes as least
from rlgpu.training import Trainer

ITERATIONS = 3


class KernelTime(NamedTuple):
    """One row of the table of kernels; all numbers are per iteration."""

    name: str
    seconds: float
    launches: float
    num_bytes: float | None
    """Minimum number of bytes that the kernel must move, or None if unknown."""


def time_kernels(trainer: Trainer, trace: Path | None) -> list[KernelTime]:
    """Returns all kernels of an iteration, the slowest first.

    Args:
        trainer: A trainer whose phases have already been captured.
        trace: File to write a Chrome trace to, or None.
    """
    on_gpu = is_gpu(trainer.agent.device)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        for _ in range(ITERATIONS):
            trainer.collect()
            trainer.update()
        if on_gpu:
            torch.cuda.synchronize(trainer.agent.device)
    if trace:
        profiler.export_chrome_trace(str(trace))
    known = least_bytes(trainer)
    rows = []
    for event in profiler.key_averages():
        microseconds = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if microseconds <= 0 or (on_gpu and not _is_kernel(event)):
            continue
        name = _short(event.key)
        num_bytes = known.get(name)
        rows.append(
            KernelTime(name, microseconds / 1e6 / ITERATIONS, event.count / ITERATIONS, num_bytes)
        )
    return sorted(rows, key=lambda row: -row.seconds)


def least_bytes(trainer: Trainer) -> dict[str, float]:
    """Returns the minimum number of bytes that each of our kernels moves in one iteration.

    Computed by ``rlgpu.profile.least_bytes`` from the sizes of the rollout and the networks.
    """
    config, env, storage = trainer.config.train, trainer.env, trainer.storage
    rows = storage.horizon_length * storage.num_envs
    o, a = env.observation_space.size, env.num_actions
    agent = trainer.agent
    assert isinstance(agent, Ppo)
    steps = config.num_epochs * agent.num_minibatches
    trained = rows * config.num_epochs
    parameters = agent.flat.params.numel()
    widths = [o, *config.hidden_sizes, a + (0 if agent.network.critic else 1)]
    # One pass for acting, one for the values of final observations, and one per epoch of training.
    evaluated = 2 * rows + storage.num_envs
    statistics = least.running_stats(rows, o) + least.running_stats(rows, 1)
    return {
        "gae_resident_kernel": least.gae(rows),
        "gae_stream_kernel": least.gae(rows),
        "gae_normalize_kernel": 8.0 * rows,
        "normalize_kernel": least.normalize(evaluated, o),
        "stats_moments_kernel": statistics,
        "gaussian_sample_kernel": least.gaussian_sample(rows, a),
        "gather_rows_kernel": least.gather_rows(trained, o + 2 * a + 4),
        "shuffle_kernel": least.shuffle(trained),
        "mlp_layer_kernel": least.mlp_forward(evaluated + trained, widths),
        "mlp_weight_gradient_kernel": least.mlp_forward(trained, widths),
        "mlp_input_gradient_kernel": least.mlp_input_gradient(trained, widths),
        "gaussian_ppo_loss_kernel": least.gaussian_ppo_loss(trained, a),
        "grad_norm_kernel": steps * least.grad_norm(parameters),
        "adam_apply_kernel": steps * least.adam(parameters),
    }


def _is_kernel(event: Any) -> bool:
    return event.device_type.name == "CUDA" and not event.is_user_annotation


def _short(name: str) -> str:
    """Returns the bare name of our kernels; shortens other names to at most 70 characters."""
    name = name.split("(", maxsplit=1)[0] if not name.startswith("(") else name
    bare = name.split("<")[0].removeprefix("void ")
    return bare.rsplit("::", 1)[-1] if bare.startswith(("rlgpu::", "void rlgpu::")) else name[:70]
