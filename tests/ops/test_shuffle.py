"""shuffle: permutations, the reference, statistics, state."""

from __future__ import annotations

import pytest
import torch

from rlgpu.ops import reference, shuffle
from tests.refusals import names


def state(seed: int, call: int, device: torch.device) -> torch.Tensor:
    return torch.tensor([seed, call], device=device)


@pytest.mark.parametrize("count", [0, 1, 2, 31, 33, 4096, 5001, 65536])
def test_every_index_occurs_once_and_the_reference_agrees(count, device) -> None:
    """Powers of four, which the Feistel network permutes, and sizes in between."""
    ours, twin = state(7, 3, device), state(7, 3, device)
    ids = shuffle(ours, count)
    assert torch.equal(ids.sort().values, torch.arange(count, device=device))
    assert torch.equal(ids, reference.shuffle(twin, count))
    assert ours.tolist() == twin.tolist() == [7, 4]


def test_positions_are_uniform(device) -> None:
    """Over 2000 shuffles of 10, each number is at each position about 200 times (sd 13)."""
    counts = torch.zeros(10, 10)
    seen = state(1, 0, device)
    for _ in range(2000):
        counts[torch.arange(10), shuffle(seen, 10).cpu()] += 1
    assert (counts - 200).abs().max() < 5 * 13.4


def test_neighbours_do_not_stay_together(device) -> None:
    """Of 65536 neighbouring pairs, one is expected to stay a pair."""
    ids = shuffle(state(2, 0, device), 65536)
    assert ((ids[1:] - ids[:-1]) == 1).sum() < 10
    places = torch.arange(65536, dtype=torch.float64, device=device)
    assert abs(torch.corrcoef(torch.stack((ids.double(), places)))[0, 1]) < 0.02


def test_a_wrong_argument_is_refused() -> None:
    """The message names the op and the argument."""
    with pytest.raises(ValueError) as refusal:
        shuffle(torch.zeros(3, dtype=torch.int64), 4)
    assert names(refusal.value, "shuffle", "rng_state", [3], [2])
    with pytest.raises(ValueError) as refusal:
        shuffle(state(0, 0, torch.device("cpu")), -1)
    assert names(refusal.value, "count", -1, 0)


def test_opcheck_accepts_schema_and_fake_kernel(device) -> None:
    """Torch's own check of the registration, mutation included."""
    torch.library.opcheck(torch.ops.rlgpu.shuffle.default, (state(1, 2, device), 10))
