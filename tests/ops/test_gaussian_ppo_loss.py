"""gaussian_ppo_loss: numbers worked by hand, gradients against float64 autograd, identities."""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.ops import METRICS, PpoBatch, PpoCoefficients, gaussian_ppo_loss, reference
from tests.refusals import names

COEFFICIENTS = PpoCoefficients(0.2, 2.0, True, 0.01, 1e-2)
CPU = torch.device("cpu")


def minibatch(rows: int, num_actions: int, device, dtype=torch.float32, spread: float = 0.3):
    g = torch.Generator().manual_seed(rows + num_actions)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g).to(device, dtype)

    old_mean, old_log_std = normal(rows, num_actions), 0.2 * normal(num_actions)
    actions = old_mean + old_log_std.exp() * normal(rows, num_actions)
    log_probs = reference.log_prob(actions, old_mean, old_log_std)
    mean = old_mean + spread * normal(rows, num_actions)
    log_std = old_log_std + 0.1 * normal(num_actions)
    values, change = normal(rows), normal(rows)
    batch = PpoBatch(
        normalized_observations=normal(rows, 1),
        actions=actions,
        log_probs=log_probs,
        parameters=old_mean,
        values=values,
        advantages=normal(rows),
        returns=normal(rows),
    )
    return mean, log_std, values + 0.3 * change, batch, old_log_std


@pytest.mark.parametrize("shape", [(1, 1), (31, 2), (33, 8), (4096, 8), (700, 21), (5, 64)])
@pytest.mark.parametrize("clip_value", [True, False])
def test_gradients_and_metrics_agree_with_autograd_in_float64(shape, clip_value, device) -> None:
    """Every output, with every term of the loss switched on."""
    coefficients = COEFFICIENTS._replace(clip_value=clip_value).tensor(device)
    mean, log_std, values, batch, old = minibatch(*shape, device, spread=0.1)
    ours = gaussian_ppo_loss(mean, log_std, values, batch, old, coefficients)
    doubles = [x.double() for x in (mean, log_std, values)]
    wanted = reference.gaussian_ppo_loss(
        *doubles, PpoBatch(*(x.double() for x in batch)), old.double(), coefficients.double()
    )
    for name, got, want in zip(ours._fields, ours, wanted, strict=True):
        scale = want.abs().max().item()
        torch.testing.assert_close(
            got.double(),
            want,
            rtol=2e-3,
            atol=2e-5 * scale + 1e-6,
            msg=lambda m, n=name: f"{n}: {m}",
        )


def test_the_loss_of_one_row_matches_numbers_worked_by_hand(device) -> None:
    """One action, unit standard deviation, an unchanged policy, the value off by one."""
    # ratio = 1: surrogate = -2.  value error 0.5 * (1 - 0)^2 = 0.5.  entropy = 0.5 log(2 pi e).
    # d surrogate / d mean = -2 * z = -2 * 0.5 = -1;  d value = 2 * (1 - 0) = 2.
    one = lambda x: torch.tensor([x], device=device)  # noqa: E731
    log_prob = -0.5 * 0.25 - 0.5 * math.log(2 * math.pi)
    batch = PpoBatch(
        one([0.0]), one([0.5]), one(log_prob), one([0.0]), one(1.0), one(2.0), one(0.0)
    )
    result = gaussian_ppo_loss(
        one([0.0]),
        one(0.0),
        one(1.0),
        batch,
        one(0.0),
        PpoCoefficients(0.2, 2.0, True, 0.0, 0.0).tensor(device),
    )
    assert result.mean.item() == pytest.approx(-1.0, rel=1e-5)
    assert result.values.item() == pytest.approx(2.0)
    metrics = dict(zip(METRICS, result.metrics.tolist(), strict=True))
    assert metrics["surrogate_loss"] == pytest.approx(-2.0, rel=1e-5)
    assert metrics["value_loss"] == pytest.approx(0.5)
    assert metrics["entropy"] == pytest.approx(0.5 * math.log(2 * math.pi * math.e), rel=1e-6)
    assert metrics["approx_kl"] == 0.0
    assert metrics["clip_fraction"] == 0.0


def test_a_ratio_beyond_the_clip_gets_no_gradient_that_pushes_it_further(device) -> None:
    """A good action is already 50 % more likely: the clipped branch is flat."""
    one = lambda x: torch.tensor([x], device=device)  # noqa: E731
    log_prob = -0.5 * 0.25 - 0.5 * math.log(2 * math.pi)
    batch = PpoBatch(
        one([0.0]),
        one([0.5]),
        one(log_prob - math.log(1.5)),
        one([0.0]),
        one(0.0),
        one(1.0),
        one(0.0),
    )
    result = gaussian_ppo_loss(
        one([0.0]),
        one(0.0),
        one(0.0),
        batch,
        one(0.0),
        PpoCoefficients(0.2, 1.0, True, 0.0, 0.0).tensor(device),
    )
    assert result.mean.item() == 0.0
    assert result.metrics[METRICS.index("clip_fraction")].item() == 1.0


def test_an_unchanged_policy_has_kl_exactly_zero(device) -> None:
    """The old and the new distributions are identical."""
    _, _, values, batch, old = minibatch(100, 8, device)
    result = gaussian_ppo_loss(
        batch.parameters, old, values, batch, old, COEFFICIENTS.tensor(device)
    )
    assert result.metrics[METRICS.index("approx_kl")].item() == 0.0


def test_no_rows_give_empty_gradients(device) -> None:
    """Zero sizes are accepted."""
    result = gaussian_ppo_loss(*minibatch(0, 3, device), COEFFICIENTS.tensor(device))
    assert result.mean.shape == (0, 3)
    assert result.metrics.tolist() == [0.0] * len(METRICS)


def test_a_nan_advantage_is_not_hidden(device) -> None:
    """It must reach the optimiser's check for non-finite gradients."""
    mean, log_std, values, batch, old = minibatch(300, 3, device)
    batch.advantages[7] = math.nan
    result = gaussian_ppo_loss(mean, log_std, values, batch, old, COEFFICIENTS.tensor(device))
    assert result.log_std.isnan().all()


def test_too_many_actions_are_refused() -> None:
    """The kernel keeps a row's actions in registers."""
    with pytest.raises(ValueError) as refusal:
        gaussian_ppo_loss(*minibatch(2, 65, CPU), COEFFICIENTS.tensor(CPU))
    assert names(refusal.value, "gaussian_ppo_loss", "mean", 65, 64)


def test_opcheck_accepts_schema_and_fake_kernel(device) -> None:
    """Torch's own check of the registration."""
    mean, log_std, values, b, old = minibatch(5, 3, device)
    args = (
        mean,
        log_std,
        values,
        b.actions,
        b.log_probs,
        b.parameters,
        old,
        b.values,
        b.advantages,
    )
    args = (*args, b.returns, COEFFICIENTS.tensor(device))
    torch.library.opcheck(torch.ops.rlgpu.gaussian_ppo_loss.default, args)
