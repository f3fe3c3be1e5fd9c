"""What runs in an iteration: every kernel on a GPU, every torch operation on the CPU."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from rlgpu.trainer import Trainer

ITERATIONS = 3


class KernelTime(NamedTuple):
    """One row of the table of kernels; all numbers are of one iteration."""

    name: str
    seconds: float
    launches: float
    num_bytes: float | None
    """The least the kernel must move; None where that is not known."""


def time_kernels(trainer: Trainer, trace: Path | None) -> list[KernelTime]:
    """Returns all kernels of an iteration, the slowest first.

    Args:
        trainer: Training whose phases have been captured already.
        trace: Where to write a Chrome trace, if anywhere.
    """
    on_gpu = trainer.agent.device.type == "cuda"
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
    """Returns the bytes that each of our kernels must move in one iteration, every tensor once.

    Derived from the sizes: [T, N] rows of O observations and A actions, P parameters, E epochs of M
    minibatches of B rows; four bytes a number.
    """
    config, env, storage = trainer.config.train, trainer.env, trainer.storage
    rows = storage.horizon_length * storage.num_envs
    o, a = env.num_observations, env.num_actions
    steps = config.num_epochs * trainer.agent.num_minibatches
    trained = rows * config.num_epochs
    parameters = trainer.agent.flat.params.numel()
    widths = [o, *config.hidden_sizes, a + (0 if config.separate else 1)]
    layers = sum(x + y for x, y in pairwise(widths))
    hidden = sum(x + 2 * y for y, x in pairwise(widths[1:]))
    # Acted on once, valued once more where episodes end, trained on in every epoch.
    forward_rows = 2 * rows + storage.num_envs + trained
    numbers = {
        "gae_resident_kernel": rows * 4.5,
        "gae_stream_kernel": rows * 4.5,
        "gae_normalize_kernel": rows * 2.0,
        "normalize_kernel": (2 * rows + storage.num_envs) * 2.0 * o,
        "stats_moments_kernel": rows * (o + 1.0),
        "sample_actions_kernel": rows * (3.0 * a + 3),
        "gather_rows_kernel": trained * 2.0 * (o + 2 * a + 4),
        "shuffle_kernel": 2.0 * trained,
        "mlp_layer_kernel": forward_rows * float(layers),
        "mlp_weight_gradient_kernel": trained * float(layers),
        "mlp_input_gradient_kernel": trained * float(hidden),
        "ppo_loss_kernel": trained * (4.0 * a + 6),
        "grad_norm_kernel": steps * float(parameters),
        "adam_apply_kernel": steps * 7.0 * parameters,
    }
    return {name: 4.0 * count for name, count in numbers.items()}


def _is_kernel(event: Any) -> bool:
    return event.device_type.name == "CUDA" and not event.is_user_annotation


def _short(name: str) -> str:
    """Returns a kernel's own name, without namespaces, template and parameter lists."""
    name = name.split("(", maxsplit=1)[0] if not name.startswith("(") else name
    bare = name.split("<")[0].removeprefix("void ")
    return bare.rsplit("::", 1)[-1] if bare.startswith(("rlgpu::", "void rlgpu::")) else name[:70]
