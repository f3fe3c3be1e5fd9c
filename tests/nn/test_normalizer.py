"""RunningNormalizer: merged moments, frozen snapshot, clipping, state."""

from __future__ import annotations

import pytest
import torch

from rlgpu.nn import RunningNormalizer
from rlgpu.ops import select_kernels

KERNELS = select_kernels("compiled", torch.device("cpu"))


def test_merged_batches_have_the_moments_of_their_union() -> None:
    """Population variance, in float64, far from zero."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 3, generator=g) * torch.tensor([1.0, 10.0, 0.1]) + 1e4
    normalizer = RunningNormalizer(3, KERNELS)
    for part in x.split([1, 399, 600]):
        normalizer.update(part)
    torch.testing.assert_close(normalizer.mean, x.double().mean(0))
    torch.testing.assert_close(normalizer.var, x.double().var(0, correction=0), rtol=1e-6, atol=0)


def test_normalising_shifts_scales_and_clips() -> None:
    """Mean 1, variance 4: 3 is one deviation above, 100 is clipped to 5."""
    normalizer = RunningNormalizer(1, KERNELS)
    normalizer.update(torch.tensor([[-1.0], [3.0]]))
    result = normalizer.normalize(torch.tensor([[1.0], [3.0], [100.0]]))
    torch.testing.assert_close(result, torch.tensor([[0.0], [1.0], [5.0]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        normalizer.denormalize(result), torch.tensor([[1.0], [3.0], [11.0]]), atol=1e-4, rtol=0
    )


def test_statistics_change_only_by_update() -> None:
    """Normalising has no side effects, so the statistics stay frozen within an iteration."""
    normalizer = RunningNormalizer(2, KERNELS)
    x = torch.randn(5, 2)
    before = normalizer.normalize(x)
    normalizer.normalize(torch.full((5, 2), 1e6))
    assert torch.equal(normalizer.normalize(x), before)


def test_non_finite_rows_are_left_out() -> None:
    """One NaN must not poison the statistics of the whole run."""
    normalizer = RunningNormalizer(1, KERNELS)
    normalizer.update(torch.tensor([[1.0], [torch.nan], [3.0], [torch.inf]]))
    assert normalizer.mean.item() == 2.0
    assert normalizer.count.item() == 2


def test_a_restored_normaliser_applies_the_same_numbers() -> None:
    """The snapshot is rebuilt from the saved statistics."""
    normalizer, restored = RunningNormalizer(3, KERNELS), RunningNormalizer(3, KERNELS)
    x = torch.randn(50, 3) * 7
    normalizer.update(x)
    restored.load_state_dict(normalizer.state_dict())
    assert torch.equal(restored.normalize(x), normalizer.normalize(x))


def test_a_disabled_normaliser_passes_through() -> None:
    """Switched off in the configuration."""
    normalizer = RunningNormalizer(3, KERNELS, enabled=False)
    x = torch.randn(5, 3)
    normalizer.update(x)
    assert normalizer.normalize(x) is x
    assert normalizer.denormalize(x) is x


@pytest.mark.parametrize("kernels", ["compiled", "torch"])
@pytest.mark.parametrize("at", [0, 5])
def test_one_outlier_row_of_a_diverging_simulation_does_not_set_the_scale(kernels, at) -> None:
    """1e8 in one of 8192 rows of deviation 1, in the first batch or a later one.

    Bounded to 100 times |mean| + deviation, it adds at most (200^2 / 8192) to the variance.
    """
    g = torch.Generator().manual_seed(0)
    normalizer = RunningNormalizer(2, select_kernels(kernels, torch.device("cpu")))
    for i in range(10):
        x = torch.randn(8192, 2, generator=g)
        if i == at:
            x[4000, 0], x[4001, 0] = 1e8, -3e9
        normalizer.update(x)
    assert normalizer.scale[0].item() > 0.6
    assert normalizer.scale[1].item() == pytest.approx(1.0, abs=0.02)


def test_features_of_any_scale_and_offset_are_learned() -> None:
    """Scales of 0.01 and a million, an offset of a million, and a feature that is zero at first."""
    g = torch.Generator().manual_seed(0)
    normalizer = RunningNormalizer(4, KERNELS)
    scale = torch.tensor([1e-2, 1e6, 1.0, 1.0])
    for i in range(40):
        x = torch.randn(1000, 4, generator=g) * scale + torch.tensor([0.0, 0.0, 1e6, 0.0])
        if i == 0:
            x[:, 3] = 0.0
        normalizer.update(x)
    x = torch.randn(20_000, 4, generator=g) * scale + torch.tensor([0.0, 0.0, 1e6, 0.0])
    out = normalizer.normalize(x)
    torch.testing.assert_close(out.std(0), torch.ones(4), rtol=0.1, atol=0)
    torch.testing.assert_close(out.mean(0), torch.zeros(4), rtol=0, atol=0.15)


def test_float64_sums_lose_nothing() -> None:
    """Two million rows of 1e7 + 1: a float32 sum is exact only up to 2^24."""
    normalizer = RunningNormalizer(1, KERNELS)
    for _ in range(20):
        normalizer.update(torch.full((100_000, 1), 1e7 + 1))
    assert normalizer.mean.item() == 1e7 + 1
    assert normalizer.var.item() < 1e-6


def test_denormalising_keeps_to_five_deviations() -> None:
    """What no normalised number can be is taken for the nearest that can."""
    normalizer = RunningNormalizer(1, KERNELS)
    normalizer.update(torch.tensor([[-1.0], [3.0]]))
    back = normalizer.denormalize(torch.tensor([[5.0], [50.0], [-5.0], [-50.0]]))
    torch.testing.assert_close(
        back, torch.tensor([[11.0], [11.0], [-9.0], [-9.0]]), atol=1e-3, rtol=0
    )
