"""One step of acting in one call, on a CPU: normalisation, networks and Gaussian samples."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.ops.gaussian_sample import ActionSlot
from rlgpu.ops.ppo_update import UpdateNetworks


def policy_act(
    observations: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    clip: float,
    params: Tensor,
    rng_state: Tensor,
    normalized: Tensor,
    slot: ActionSlot,
    *,
    networks: UpdateNetworks,
) -> None:
    """Normalises observations, samples actions and writes the results to a rollout slot.

    The bits are those of ``normalize``, ``mlp`` and ``gaussian_sample`` one after the other.

    Args:
        observations: Raw observations, shape [N, O].
        scale: Factors, shape [O]; None leaves observations as they are.
        offset: Offsets, shape [O]; None leaves observations as they are.
        clip: Largest absolute value of a normalised observation.
        params: The networks' parameters and the log-std, shape [P].
        rng_state: Seed and number of calls so far, shape [2], int64; the latter is incremented.
        normalized: Normalised observations, overwritten, shape [N, O].
        slot: Tensors that the results are written to.
        networks: The layout of the parameters.

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device, or is not contiguous.
        RuntimeError: The CPU has no AVX2, or no AMX for ``bf16``.
    """
    torch.ops.rlgpu.policy_act(
        observations,
        scale,
        offset,
        clip,
        params,
        networks.layer_numbers,
        list(networks.columns),
        networks.activation,
        networks.precision,
        networks.log_std,
        rng_state,
        normalized,
        *slot,
    )


def register_fake() -> None:
    """Registers a fake kernel for the op, which returns nothing."""

    @torch.library.register_fake("rlgpu::policy_act")
    def _(*_rest: object) -> None:
        return None
