"""The compiled ops: contracts, fake kernels, plain-torch twins, and the choice between them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch

from rlgpu.ops import adam_step as _adam_step
from rlgpu.ops import gae as _gae
from rlgpu.ops import mlp as _mlp
from rlgpu.ops import ppo_loss as _ppo_loss
from rlgpu.ops import reference
from rlgpu.ops import sample_actions as _sample_actions
from rlgpu.ops.adam_step import AdamHyperparameters, AdamState, adam_step
from rlgpu.ops.extension import load_extension
from rlgpu.ops.gae import Gae, gae
from rlgpu.ops.mlp import mlp
from rlgpu.ops.ppo_loss import METRICS, PpoBatch, PpoCoefficients, PpoGradients, ppo_loss
from rlgpu.ops.sample_actions import sample_actions

__all__ = [
    "METRICS",
    "AdamHyperparameters",
    "AdamState",
    "Gae",
    "Kernels",
    "PpoBatch",
    "PpoCoefficients",
    "PpoGradients",
    "adam_step",
    "gae",
    "mlp",
    "ppo_loss",
    "reference",
    "sample_actions",
    "select_kernels",
]


class Kernels(NamedTuple):
    """One implementation of every op; the learner is handed one and never asks which."""

    gae: Callable[..., Gae]
    mlp: Callable[..., torch.Tensor]
    sample_actions: Callable[..., None]
    ppo_loss: Callable[..., PpoGradients]
    adam_step: Callable[..., torch.Tensor]


def select_kernels(name: Literal["fused", "torch"], device: torch.device) -> Kernels:
    """Returns the compiled ops, or their plain-torch twins.

    Raises:
        RuntimeError: ``fused`` is asked for and the extension is not built for ``device``.
    """
    if name == "torch":
        module: Any = reference
        return Kernels(*(getattr(module, op) for op in Kernels._fields))
    load_extension(device)
    return Kernels(gae, mlp, sample_actions, ppo_loss, adam_step)


# Importing the package must work before the extension is built: kernels=torch needs none of it.
if importlib.util.find_spec("rlgpu._C") is not None:
    importlib.import_module("rlgpu._C")
    for _op in (_gae, _mlp, _sample_actions, _ppo_loss, _adam_step):
        _op.register_fake()
