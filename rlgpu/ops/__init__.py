"""The compiled ops: interfaces, fake kernels, plain-torch versions and their selection."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch

from rlgpu.errors import UsageError
from rlgpu.ops import adam_step as _adam_step
from rlgpu.ops import gae as _gae
from rlgpu.ops import gather_rows as _gather_rows
from rlgpu.ops import gaussian_ppo_loss as _gaussian_ppo_loss
from rlgpu.ops import gaussian_sample as _gaussian_sample
from rlgpu.ops import mlp as _mlp
from rlgpu.ops import physics as _physics
from rlgpu.ops import policy_act as _policy_act
from rlgpu.ops import ppo_update as _ppo_update
from rlgpu.ops import reference, reference_update
from rlgpu.ops import running_stats as _running_stats
from rlgpu.ops import shuffle as _shuffle
from rlgpu.ops.adam_step import AdamHyperparameters, AdamState, adam_step
from rlgpu.ops.extension import load_extension
from rlgpu.ops.gae import Gae, gae
from rlgpu.ops.gather_rows import gather_rows
from rlgpu.ops.gaussian_ppo_loss import (
    METRICS,
    PpoBatch,
    PpoCoefficients,
    PpoGradients,
    gaussian_ppo_loss,
)
from rlgpu.ops.gaussian_sample import ActionSlot, gaussian_sample
from rlgpu.ops.mlp import Activation, Precision, mlp
from rlgpu.ops.physics import (
    PhysicsModel,
    PhysicsOutputs,
    PhysicsState,
    in_blocks,
    physics_step,
    physics_tables,
    write_blocks,
)
from rlgpu.ops.policy_act import policy_act
from rlgpu.ops.ppo_update import (
    AdaptWhen,
    Layer,
    UpdateNetworks,
    UpdateRules,
    has_ppo_update,
    ppo_update,
)
from rlgpu.ops.running_stats import RunningStats, normalize, running_stats
from rlgpu.ops.shuffle import shuffle

__all__ = [
    "METRICS",
    "ActionSlot",
    "Activation",
    "AdamHyperparameters",
    "AdamState",
    "AdaptWhen",
    "Gae",
    "Kernels",
    "KernelsName",
    "Layer",
    "PhysicsModel",
    "PhysicsOutputs",
    "PhysicsState",
    "PpoBatch",
    "PpoCoefficients",
    "PpoGradients",
    "Precision",
    "RunningStats",
    "UpdateNetworks",
    "UpdateRules",
    "adam_step",
    "gae",
    "gather_rows",
    "gaussian_ppo_loss",
    "gaussian_sample",
    "has_ppo_update",
    "in_blocks",
    "load_extension",
    "mlp",
    "normalize",
    "physics_step",
    "physics_tables",
    "policy_act",
    "ppo_update",
    "reference",
    "reference_update",
    "running_stats",
    "select_kernels",
    "shuffle",
    "write_blocks",
]


class Kernels(NamedTuple):
    """One implementation of every op; the learner works with any of them."""

    adam_step: Callable[..., torch.Tensor]
    gae: Callable[..., Gae]
    gather_rows: Callable[..., list[torch.Tensor]]
    mlp: Callable[..., torch.Tensor]
    normalize: Callable[..., None]
    gaussian_ppo_loss: Callable[..., PpoGradients]
    running_stats: Callable[..., None]
    gaussian_sample: Callable[..., None]
    shuffle: Callable[..., torch.Tensor]


KernelsName = Literal["compiled", "torch"]


def select_kernels(name: KernelsName, device: torch.device) -> Kernels:
    """Returns the compiled ops, or their plain-torch equivalents.

    Raises:
        UsageError: ``name`` is neither.
        RuntimeError: ``compiled`` is requested and the extension is not built for ``device``.
    """
    if name not in get_args(KernelsName):
        raise UsageError(
            f"kernels={name}: must be compiled or torch",
            key="kernels",
            value=name,
            allowed=get_args(KernelsName),
        )
    if name == "torch":
        return Kernels(*(getattr(reference, op) for op in Kernels._fields))
    load_extension(device)
    return Kernels(
        adam_step=adam_step,
        gae=gae,
        gather_rows=gather_rows,
        mlp=mlp,
        normalize=normalize,
        gaussian_ppo_loss=gaussian_ppo_loss,
        running_stats=running_stats,
        gaussian_sample=gaussian_sample,
        shuffle=shuffle,
    )


# The package must be importable before the extension is built: kernels=torch does not need it.
if importlib.util.find_spec("rlgpu._C") is not None:
    importlib.import_module("rlgpu._C")
    for _op in (
        _adam_step,
        _gae,
        _gather_rows,
        _gaussian_ppo_loss,
        _gaussian_sample,
        _mlp,
        _physics,
        _policy_act,
        _ppo_update,
        _running_stats,
        _shuffle,
    ):
        _op.register_fake()
