"""gather_rows: agreement with torch's indexing, odd shapes, errors."""

from __future__ import annotations

import pytest
import torch

from rlgpu.ops import gather_rows
from tests.refusals import names


@pytest.mark.parametrize("rows", [1, 31, 4096])
@pytest.mark.parametrize("chosen", [0, 1, 33, 5000])
def test_rows_match_torch_indexing(rows, chosen, device) -> None:
    """Matrices, vectors and a view, in one call."""
    g = torch.Generator().manual_seed(0)
    sources = [torch.randn(rows, 60, generator=g), torch.randn(rows, generator=g)]
    sources.append(torch.randn(3, rows, generator=g).t())
    sources = [source.to(device) for source in sources]
    ids = torch.randint(rows, (chosen,), generator=g).to(device)
    for got, source in zip(gather_rows(sources, ids), sources, strict=True):
        assert torch.equal(got, source[ids])


@pytest.mark.parametrize(
    ("sources", "ids", "named"),
    [
        ([torch.zeros(3)] * 9, torch.zeros(1, dtype=torch.int64), ("sources", 9, 8)),
        ([torch.zeros(3)], torch.zeros(1), ("ids", "Float", "Long")),
        ([torch.zeros(3), torch.zeros(4)], torch.zeros(1, dtype=torch.int64), (3, 4)),
        ([torch.zeros(3, 2, 2)], torch.zeros(1, dtype=torch.int64), ("dimensions", 3)),
    ],
)
def test_a_wrong_argument_is_refused(sources, ids, named) -> None:
    """The message names the op and the problem."""
    with pytest.raises(ValueError) as refusal:
        gather_rows(sources, ids)
    assert names(refusal.value, "gather_rows", *named)


def test_opcheck_accepts_schema_and_fake_kernel(device) -> None:
    """Torch's own check of the registration."""
    args = ([torch.randn(5, 3, device=device)], torch.tensor([1, 4], device=device))
    torch.library.opcheck(torch.ops.rlgpu.gather_rows.default, args)
