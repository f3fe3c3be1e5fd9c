"""RolloutStorage: every row once, fields aligned, views where promised."""

from __future__ import annotations

import pytest
import torch

from rlgpu.learner import RolloutStorage
from rlgpu.ops import gather_rows, shuffle


def numbered(t: int = 4, n: int = 6) -> RolloutStorage:
    """Every field of a row carries the row's number."""
    storage = RolloutStorage(t, n, 3, 2, 2, torch.device("cpu"))
    number = torch.arange(t * n, dtype=torch.float32).view(t, n)
    for name in ("log_probs", "values", "advantages", "returns"):
        getattr(storage, name).copy_(number)
    for name in ("normalized_observations", "actions", "parameters"):
        getattr(storage, name).copy_(number[..., None])
    return storage


@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("num_minibatches", [1, 3, 24])
def test_minibatches_visit_every_row_once_with_its_fields(shuffled, num_minibatches) -> None:
    """The numbers are a permutation, and all fields of a row agree."""
    ids = shuffle(torch.tensor([0, 0]), 24) if shuffled else None
    seen = []
    for index in range(num_minibatches):
        batch = numbered().minibatch(index, num_minibatches, ids, gather_rows).rows
        assert len({x.shape[0] for x in batch}) == 1
        for field in batch:
            columns = field if field.dim() == 2 else field[:, None]
            assert torch.equal(columns, batch.values[:, None].expand_as(columns))
        seen.append(batch.values)
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(24.0))
    assert torch.equal(torch.cat(seen), torch.arange(24.0)) != shuffled


def test_minibatches_in_time_order_are_views() -> None:
    """Nothing is copied."""
    storage = numbered()
    batch = storage.minibatch(0, 2, None, gather_rows).rows
    assert batch.actions.data_ptr() == storage.actions.data_ptr()


def test_a_slot_is_a_view_of_its_step() -> None:
    """Whatever acting writes goes straight into the rollout."""
    storage = numbered()
    slot = storage.slot(2)
    slot.actions.fill_(99.0)
    assert storage.actions[2].eq(99.0).all()
    assert not storage.actions[1].eq(99.0).any()
    assert slot.values.shape == slot.log_probs.shape == (6,)
