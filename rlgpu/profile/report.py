"""Times the phases and kernels of an iteration.

    rlgpu profile task=Ant              phases and kernels of an iteration
    rlgpu profile task=Ant --trace      also a Chrome trace, for ui.perfetto.dev
    rlgpu profile kernels               every op at several sizes

It takes the arguments of ``rlgpu train``. By default updates do not stop early
(train.target_kl=0), so that all epochs are measured.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from rlgpu.config import Project, compose, read_words
from rlgpu.device import is_gpu, working_stream
from rlgpu.errors import UsageError, shown
from rlgpu.ops import select_kernels
from rlgpu.profile.kernels import KernelTime, time_kernels
from rlgpu.profile.phases import PhaseTime, time_phases
from rlgpu.profile.sweep import sweep
from rlgpu.profile.timing import copy_bandwidth
from rlgpu.sim import ENGINES
from rlgpu.training import Tasks, Trainer, build_env, make_agent, seed_everything

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # no lines of the profiler's own
DEFAULTS = {"headless": "True", "train.target_kl": "0"}
WARM_UP = 3
SHOWN = 30
"""Rows in the table of kernels; the remaining kernels are summed in one more row."""


def run(words: list[str]) -> int:
    """Runs the profiler and returns the exit code, 0.

    Raises:
        UsageError: The arguments are invalid.
    """
    console = Console(soft_wrap=True)
    if words and words[0] == "kernels":
        _sweep(words[1:], console)
    else:
        _profile(words, console)
    return 0


def _profile(words: list[str], console: Console) -> None:
    trace = Path("trace.json") if "--trace" in words else None
    given = [word for word in words if word != "--trace"]
    keys = {word.partition("=")[0] for word in given}
    defaults = [f"{key}={value}" for key, value in DEFAULTS.items() if key not in keys]
    project = Project.at(Path.cwd())
    algorithm = {**project.defaults(), **read_words(given)}.get("algorithm", "PPO")
    if algorithm != "PPO":
        said = f"algorithm={shown(algorithm)}: the profiler knows the phases of PPO only"
        raise UsageError(said, key="algorithm", value=algorithm, allowed=["PPO"])
    composed = compose([*defaults, *given], Tasks(), ENGINES, project)
    config = composed.config
    seed_everything(config)
    env = build_env(config, composed.task_class, training=True, say=console.print)
    agent = make_agent(config, env)
    with working_stream(agent.device):
        trainer = Trainer(config, env, agent)
        for _ in range(WARM_UP):
            trainer.collect()
            trainer.update()
        console.print(
            f"{config.task.name}, {config.num_envs} environments x {config.train.horizon_length} "
            f"steps, {env.description}, learner on {_device_name(agent.device)}",
            highlight=False,
        )
        rows = config.num_envs * config.train.horizon_length
        console.print(_phase_table(time_phases(trainer), rows))
        bandwidth = copy_bandwidth(agent.device)
        console.print(_kernel_table(time_kernels(trainer, trace), bandwidth, agent.device))
    if trace:
        console.print(f"wrote {trace.resolve()}; open it in https://ui.perfetto.dev")


def _phase_table(phases: list[PhaseTime], rows: int) -> Table:
    whole = phases[-1].seconds
    table = Table(title="Phases of an iteration, timed separately (medians)")
    for name in ("phase", "ms", "share", "environment steps/s"):
        table.add_column(name, justify="left" if name == "phase" else "right")
    for phase in phases:
        table.add_row(
            ("  " if phase.is_part else "") + phase.name,
            f"{1e3 * phase.seconds:.3f}",
            f"{phase.seconds / whole:.0%}",
            f"{rows / phase.seconds:,.0f}" if phase.seconds else "",
        )
    return table


def _kernel_table(kernels: list[KernelTime], bandwidth: float, device: torch.device) -> Table:
    """Lists the kernels; "x copy" is their time over that of a large copy's share of as many bytes.

    What is still in a cache may take less.
    """
    on_gpu = is_gpu(device)
    kind = "kernels" if on_gpu else "operations"
    total = sum(kernel.seconds for kernel in kernels)
    launches = sum(kernel.launches for kernel in kernels)
    table = Table(
        title=f"{launches:.0f} {kind} of an iteration, {1e3 * total:.3f} ms in total; a copy "
        f"within the device moves {bandwidth / 1e9:,.0f} GB/s"
    )
    for name in (kind, "us", "share", "launches", "MB", "GB/s", "x copy"):
        table.add_column(name, justify="left" if name == kind else "right", overflow="ellipsis")
    for kernel in kernels[:SHOWN]:
        table.add_row(*_kernel_row(kernel, total, bandwidth))
    rest = kernels[SHOWN:]
    if rest:
        left = KernelTime(
            f"{len(rest)} others", sum(k.seconds for k in rest), sum(k.launches for k in rest), None
        )
        table.add_row(*_kernel_row(left, total, bandwidth))
    return table


def _kernel_row(kernel: KernelTime, total: float, bandwidth: float) -> list[str]:
    row = [kernel.name, f"{1e6 * kernel.seconds:,.1f}", f"{kernel.seconds / total:.1%}"]
    row.append(f"{kernel.launches:,.1f}")
    if kernel.num_bytes is None:
        return [*row, "", "", ""]
    achieved = kernel.num_bytes / kernel.seconds
    ratio = kernel.seconds * bandwidth / kernel.num_bytes
    return [*row, f"{kernel.num_bytes / 1e6:.2f}", f"{achieved / 1e9:,.0f}", f"{ratio:.1f}"]


def _sweep(words: list[str], console: Console) -> None:
    if words:
        said = f"{shown(words[0])}: `rlgpu profile kernels` takes no arguments"
        raise UsageError(said, key="profile kernels", value=words[0])
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        kernels = select_kernels("compiled", device)
    except RuntimeError as error:
        raise UsageError(str(error), key="kernels", value="compiled") from error
    with working_stream(device):
        bandwidth = copy_bandwidth(device)
        table = Table(
            title=f"Ops on {_device_name(device)}, and their time over that of a copy of as many "
            f"bytes; a large copy moves {bandwidth / 1e9:,.0f} GB/s"
        )
        for name in ("op", "size", "us", "MB", "GB/s", "x copy"):
            table.add_column(name, justify="left" if name in ("op", "size") else "right")
        for row in sweep(kernels, device):
            table.add_row(
                row.name,
                row.size,
                f"{1e6 * row.seconds:,.2f}",
                f"{row.num_bytes / 1e6:.2f}",
                f"{row.num_bytes / row.seconds / 1e9:,.0f}",
                f"{row.seconds / row.copy_seconds:.1f}",
            )
    console.print(table)


def _device_name(device: torch.device) -> str:
    if is_gpu(device):
        return torch.cuda.get_device_name(device)
    return f"the CPU, {torch.get_num_threads()} threads"
