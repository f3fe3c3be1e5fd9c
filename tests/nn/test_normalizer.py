"""RunningNormalizer: merged moments, frozen snapshot, clipping, state."""

from __future__ import annotations

import torch

from rlgpu.nn import RunningNormalizer
from rlgpu.ops import select_kernels

KERNELS = select_kernels("fused", torch.device("cpu"))


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
    """Normalising is pure, as a frozen iteration needs."""
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
