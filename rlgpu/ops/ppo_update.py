"""All minibatches of PPO's update in one call, on a CPU."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rlgpu.ops.adam_step import AdamHyperparameters, AdamState
from rlgpu.ops.gaussian_ppo_loss import PpoBatch
from rlgpu.ops.mlp import Activation, Precision

MAX_PARAMETERS = 64
"""Largest number of parameters of the distribution of a row's actions."""
MAX_HALF_WIDTH = 1024
"""Most inputs and units of a layer whose products are in ``bf16``."""

AdaptWhen = Literal["never", "after_step", "before_step", "after_epoch"]
"""When the adaptive schedule reads the KL."""


class Layer(NamedTuple):
    """One linear layer, whose weights and biases are parts of flat parameters."""

    network: int
    """0 for the actor or the shared network, 1 for a separate critic."""
    width: int
    """Number of inputs, I."""
    units: int
    """Number of outputs, O."""
    weight: int
    """Index of its first weight; they have shape [O, I]."""
    bias: int
    """Index of its first bias."""


class UpdateNetworks(NamedTuple):
    """How the networks and the actions' distribution lie in flat parameters.

    A shared network's last output is the value; a separate critic's only output is.
    """

    layers: Sequence[Layer]
    """The layers of the actor or the shared network, then those of a separate critic."""
    activation: Activation
    """Applied between the layers."""
    log_std: int
    """Index of the first log standard deviation of Gaussian actions."""
    choices: Sequence[int]
    """Number of choices of each discrete action; empty for Gaussian actions."""
    groups: Sequence[slice]
    """Consecutive ranges of the parameters with separate norms and step counts, G of them."""
    rate_ratios: Sequence[float]
    """Ratio of each range's learning rate to the first one's; 0 for the same rate."""
    precision: Precision = "fp32"
    """Precision of the operands of matrix products; ``tf32`` is ``fp32`` on a CPU."""
    columns: Sequence[int] = ()
    """The columns of the observations that each network sees, as many as its first layer has
    inputs, one network after the other; empty if all networks see all columns."""

    @property
    def layer_numbers(self) -> list[int]:
        """The layers' fields one after another, as the ops take them."""
        return [number for layer in self.layers for number in layer]


class UpdateRules(NamedTuple):
    """Decisions at each minibatch."""

    kl_limit: float
    """The update stops once a minibatch's KL exceeds this; 0 disables it."""
    adaptive_kl: float
    """Target KL of the adaptive schedule."""
    min_learning_rate: float
    """Lower limit of the adaptive schedule."""
    max_learning_rate: float
    """Upper limit of the adaptive schedule."""
    min_log_std: float
    """Lower limit of the log standard deviations."""
    max_log_std: float
    """Upper limit of the log standard deviations."""


def has_ppo_update(device: torch.device, precision: Precision = "fp32") -> bool:
    """Returns whether this machine can run ``ppo_update``: a CPU with AVX2, for ``bf16`` with AMX.

    Args:
        device: The device of the networks.
        precision: Precision of the operands of matrix products.
    """
    if device.type != "cpu":
        return False
    library = importlib.import_module("rlgpu._C")
    return bool(library.has_half_tiles() if precision == "bf16" else library.tile_panel())


def ppo_update(
    params: Tensor,
    grads: Tensor,
    state: AdamState,
    progress: Sequence[Tensor],
    learning_rate: Tensor,
    rollout: PpoBatch,
    ids: Tensor,
    old_log_std: Tensor,
    coefficients: Tensor,
    *,
    networks: UpdateNetworks,
    num_minibatches: int,
    adam: AdamHyperparameters,
    rules: UpdateRules,
    adapt_when: AdaptWhen = "never",
    adapt_from_start: bool = False,
) -> None:
    """Trains on all minibatches in turn, or until the KL is too large.

    Each minibatch takes the steps of ``mlp``, ``gaussian_ppo_loss`` and ``adam_step``, and the
    decisions of ``rlgpu.learner.progress``. The bits of the result do not depend on the number of
    threads or on the vectors of the CPU.

    Args:
        params: All parameters, overwritten, shape [P].
        grads: Gradients of the last minibatch, overwritten, shape [P].
        state: Adam's state, overwritten; the counts have shape [G].
        progress: The tensors of ``rlgpu.learner.progress.UpdateProgress``, overwritten.
        learning_rate: Overwritten if the schedule is adaptive, shape [].
        rollout: The rollout, R rows, contiguous; discrete actions have logits as parameters.
        ids: A permutation of the rows for each epoch, shape [E, R], int64.
        old_log_std: Log standard deviations of the acting policy, shape [A]; unused for discrete
            actions.
        coefficients: Coefficients from ``PpoCoefficients.tensor``, shape [5].
        networks: The networks' layout.
        num_minibatches: Minibatches per epoch; must divide R.
        adam: Constants of the optimiser.
        rules: Limits of the KL, the learning rate and the log-std.
        adapt_when: When the learning rate adapts to the KL.
        adapt_from_start: Whether it also does before the first step.

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device, or is not contiguous.
        RuntimeError: The CPU has no AVX2, or no AMX for ``bf16``.
    """
    torch.ops.rlgpu.ppo_update(
        [params, grads, *state],
        list(progress),
        learning_rate,
        list(rollout),
        ids,
        old_log_std,
        coefficients,
        networks.layer_numbers,
        list(networks.columns),
        networks.activation,
        networks.precision,
        networks.log_std,
        list(networks.choices),
        [group.stop for group in networks.groups],
        list(networks.rate_ratios),
        num_minibatches,
        list(adam),
        list(rules),
        adapt_when,
        adapt_from_start,
    )


def register_fake() -> None:
    """Registers a fake kernel for the op, which returns nothing."""

    @torch.library.register_fake("rlgpu::ppo_update")
    def _(*_rest: object) -> None:
        return None
