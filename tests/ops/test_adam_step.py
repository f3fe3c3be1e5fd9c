"""adam_step: torch.optim.Adam, clipping, the stop flag, non-finite gradients."""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.ops import AdamHyperparameters, AdamState, adam_step, reference
from tests.refusals import names


def fresh(count: int, device) -> tuple[torch.Tensor, AdamState]:
    params = torch.randn(count, generator=torch.Generator().manual_seed(0)).to(device)
    return params, AdamState.fresh(params)


def scalars(device, stop: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(1e-2, device=device), torch.tensor(stop, device=device)


def gradients(count: int, steps: int, device) -> torch.Tensor:
    return torch.randn(steps, count, generator=torch.Generator().manual_seed(1)).to(device)


@pytest.mark.parametrize("count", [1, 31, 33, 4096, 57_000])
@pytest.mark.parametrize("step", [adam_step, reference.adam_step])
def test_five_steps_agree_with_torch_adam_in_float64(count, step, device) -> None:
    """The op and its reference, against an independent implementation."""
    params, state = fresh(count, device)
    theirs = params.double().clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=1e-2)
    for grads in gradients(count, 5, device):
        norm = step(params, state, grads, *scalars(device), AdamHyperparameters())
        theirs.grad = grads.double()
        optimizer.step()
        assert norm.item() == pytest.approx(grads.double().norm().item(), rel=1e-5)
    torch.testing.assert_close(params.double(), theirs.detach(), rtol=1e-5, atol=1e-6)
    assert state.step.item() == 5


@pytest.mark.parametrize("step", [adam_step, reference.adam_step])
def test_the_norm_is_clipped_globally(step, device) -> None:
    """Gradients of norm 5 with a limit of 1 act like gradients a fifth as large."""
    results = []
    for scale, limit in ((1.0, 1.0), (0.2, 0.0)):
        params, state = fresh(2, device)
        grads = torch.tensor([3.0, 4.0], device=device) * scale
        step(params, state, grads, *scalars(device), AdamHyperparameters(max_grad_norm=limit))
        results.append(state.exp_avg)
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("step", [adam_step, reference.adam_step])
def test_a_set_stop_flag_leaves_everything_unchanged(step, device) -> None:
    """Parameters, moments and the step count."""
    params, state = fresh(100, device)
    before = params.clone()
    step(params, state, gradients(100, 1, device)[0], *scalars(device, True), AdamHyperparameters())
    assert torch.equal(params, before)
    assert state.step.item() == 0
    assert not state.exp_avg.any()


@pytest.mark.parametrize("step", [adam_step, reference.adam_step])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_gradients_skip_the_step_and_are_counted(step, bad, device) -> None:
    """One non-finite value among many finite ones."""
    params, state = fresh(100, device)
    before, grads = params.clone(), gradients(100, 1, device)[0]
    grads[42] = bad
    step(params, state, grads, *scalars(device), AdamHyperparameters(max_grad_norm=1.0))
    assert torch.equal(params, before)
    assert state.step.item() == 0
    assert state.nonfinite_steps.item() == 1


def test_no_parameters_are_accepted(device) -> None:
    """Zero sizes are accepted."""
    params, state = fresh(0, device)
    adam_step(params, state, torch.zeros(0, device=device), *scalars(device), AdamHyperparameters())


def test_a_learning_rate_of_the_wrong_shape_is_refused() -> None:
    """The rate is a device scalar, not a list."""
    params, state = fresh(3, torch.device("cpu"))
    with pytest.raises(ValueError) as refusal:
        adam_step(
            params,
            state,
            torch.zeros(3),
            torch.tensor([0.1]),
            torch.tensor(False),
            AdamHyperparameters(),
        )
    assert names(refusal.value, "adam_step", "learning_rate", [1], [])


def test_opcheck_accepts_schema_and_fake_kernel(device) -> None:
    """Torch's own check of the registration, mutations included."""
    params, state = fresh(5, device)
    args = (params, *state, gradients(5, 1, device)[0], *scalars(device), *AdamHyperparameters())
    torch.library.opcheck(torch.ops.rlgpu.adam_step.default, args)
