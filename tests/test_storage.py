"""RolloutStorage: every row once, fields aligned, views where promised."""

from __future__ import annotations

import pytest
import torch

from rlgpu.storage import RolloutStorage


def numbered(t: int = 4, n: int = 6) -> RolloutStorage:
    """Every field of a row carries the row's number."""
    storage = RolloutStorage(t, n, 3, 2, torch.device("cpu"))
    number = torch.arange(t * n, dtype=torch.float32).view(t, n)
    for name in ("log_probs", "values", "advantages", "returns"):
        getattr(storage, name).copy_(number)
    for name in ("normalized", "actions", "mean"):
        getattr(storage, name).copy_(number[..., None])
    return storage


@pytest.mark.parametrize("order", ["shuffled", "contiguous"])
@pytest.mark.parametrize("num_minibatches", [1, 3, 24])
def test_minibatches_visit_every_row_once_with_its_fields(order, num_minibatches) -> None:
    """The numbers are a permutation, and all fields of a row agree."""
    generator = torch.Generator().manual_seed(0)
    seen = []
    for batch in numbered().minibatches(num_minibatches, order, generator):
        assert len({x.shape[0] for x in batch}) == 1
        for field in batch:
            columns = field if field.dim() == 2 else field[:, None]
            assert torch.equal(columns, batch.values[:, None].expand_as(columns))
        seen.append(batch.values)
    assert len(seen) == num_minibatches
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(24.0))


def test_each_epoch_is_shuffled_anew_and_a_seed_repeats_it() -> None:
    """The order comes from the generator alone."""
    storage = numbered()

    def order(generator: torch.Generator) -> torch.Tensor:
        return torch.cat([b.values for b in storage.minibatches(2, "shuffled", generator)])

    generator = torch.Generator().manual_seed(5)
    first, second = order(generator), order(generator)
    assert not torch.equal(first, second)
    assert torch.equal(first, order(torch.Generator().manual_seed(5)))


def test_contiguous_minibatches_are_views() -> None:
    """Nothing is copied."""
    storage = numbered()
    batch = next(storage.minibatches(2, "contiguous", torch.Generator()))
    assert batch.actions.data_ptr() == storage.actions.data_ptr()
