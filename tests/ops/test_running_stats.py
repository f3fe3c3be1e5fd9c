"""running_stats and normalize: the float64 reference, offsets, non-finite rows, errors."""

from __future__ import annotations

import pytest
import torch

from rlgpu.ops import RunningStats, normalize, reference, running_stats
from tests.refusals import names


def fresh(width: int, device: torch.device) -> RunningStats:
    mean = torch.zeros(width, dtype=torch.float64, device=device)
    num_rows = torch.zeros((), dtype=torch.float64, device=device)
    return RunningStats(mean, mean + 1, num_rows, mean.float() + 1, mean.float())


def batches(width: int, device: torch.device) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return [
        (torch.randn(rows, width, generator=g) * 3 + 1000).to(device) for rows in (1, 33, 4096, 700)
    ]


@pytest.mark.parametrize("width", [1, 4, 60, 200])
def test_moments_of_several_batches_agree_with_the_reference(width, device) -> None:
    """Data far from zero, with non-finite rows left out."""
    ours, twin = fresh(width, device), fresh(width, device)
    for x in batches(width, device):
        if len(x) > 10:
            x[3, 0], x[5, width - 1] = torch.nan, torch.inf
        running_stats(x, ours)
        reference.running_stats(x, twin)
    assert ours.num_rows.item() == 1 + 33 + 4096 + 700 - 3 * 2
    torch.testing.assert_close(ours.mean, twin.mean, rtol=1e-9, atol=0)
    torch.testing.assert_close(ours.var, twin.var, rtol=1e-6, atol=0)
    torch.testing.assert_close(ours.scale, twin.scale, rtol=1e-5, atol=0)
    torch.testing.assert_close(ours.offset, twin.offset, rtol=1e-5, atol=0)


def test_moments_worked_by_hand(device) -> None:
    """1 and 3, then 5 and 7: mean 4, population variance 5."""
    stats = fresh(1, device)
    for x in ([[1.0], [3.0]], [[5.0], [7.0]]):
        running_stats(torch.tensor(x, device=device), stats)
    assert stats.mean.item() == pytest.approx(4.0)
    assert stats.var.item() == pytest.approx(5.0)
    assert stats.scale.item() == pytest.approx(5.00001**-0.5)
    assert stats.offset.item() == pytest.approx(-4.0 * 5.00001**-0.5)


def test_a_batch_without_finite_rows_changes_nothing(device) -> None:
    """An empty batch, and a batch of NaN rows."""
    stats = fresh(3, device)
    running_stats(torch.randn(10, 3, device=device), stats)
    before = [x.clone() for x in stats]
    running_stats(torch.zeros(0, 3, device=device), stats)
    running_stats(torch.full((4, 3), torch.nan, device=device), stats)
    assert all(torch.equal(x, y) for x, y in zip(stats, before, strict=True))


def test_repeated_runs_give_the_same_bits(device) -> None:
    """Partial sums are combined in a fixed order."""
    results = []
    for _ in range(3):
        stats = fresh(60, device)
        for x in batches(60, device):
            running_stats(x, stats)
        results.append(torch.cat((stats.mean, stats.var)))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_normalising_scales_shifts_and_clamps(device) -> None:
    """Two columns, one value beyond the clip, one NaN."""
    x = torch.tensor([[1.0, 2.0], [100.0, torch.nan]], device=device)
    scale, offset = torch.tensor([2.0, 0.5], device=device), torch.tensor([1.0, -1.0]).to(device)
    out = torch.empty_like(x)
    normalize(x, scale, offset, 5.0, out=out)
    assert out[0].tolist() == [3.0, 0.0]
    assert out[1, 0].item() == 5.0
    assert out[1, 1].isnan()
    twin = torch.empty_like(x)
    reference.normalize(x, scale, offset, 5.0, out=twin)
    torch.testing.assert_close(out, twin, equal_nan=True)


def test_a_wrong_argument_is_refused() -> None:
    """The message names the op and the argument."""
    cpu = torch.device("cpu")
    with pytest.raises(ValueError) as refusal:
        running_stats(torch.zeros(2, 4), fresh(3, cpu))
    assert names(refusal.value, "running_stats", "mean", [3], [4])
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError) as refusal:
        normalize(x, torch.ones(3), torch.zeros(3), 5.0, out=torch.zeros(3, 2).t())
    assert names(refusal.value, "normalize", "out", "contiguous")


def test_opcheck_accepts_schemas_and_fake_kernels(device) -> None:
    """Torch's own check of the registration, mutations included."""
    x = torch.randn(6, 3, device=device)
    torch.library.opcheck(torch.ops.rlgpu.running_stats.default, (x, *fresh(3, device)))
    ones = torch.ones(3, device=device)
    torch.library.opcheck(torch.ops.rlgpu.normalize.default, (x, ones, ones, 5.0, x.clone()))
