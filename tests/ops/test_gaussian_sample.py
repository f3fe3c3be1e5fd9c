"""gaussian_sample: Philox against its published vectors, the reference, statistics, state."""

from __future__ import annotations

import pytest
import torch

from rlgpu.ops import ActionSlot, gaussian_sample, reference
from tests.refusals import names


def empty_slot(mean: torch.Tensor) -> ActionSlot:
    rows = mean[:, 0] if mean.shape[1] else mean.new_empty(mean.shape[0])
    return ActionSlot(
        *(torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (mean, rows) * 2)
    )


def draw(mean, log_std, state, function=gaussian_sample):
    slot = empty_slot(mean)
    function(mean, torch.zeros_like(mean[:, 0]), log_std, state, slot)
    return slot.actions, slot.log_probs


def test_the_reference_generates_philox_as_published() -> None:
    """Random123's known answer for counter 0 and key 0 begins 0x6627e8d5 0xe169c58d."""
    # The first two words give uniform u1, u2; Box-Muller of those is the first pair of normals.
    u1 = (0x6627E8D5 >> 8) * 2.0**-24 + 2.0**-25
    u2 = (0xE169C58D >> 8) * 2.0**-24 + 2.0**-25
    radius = (-2.0 * torch.tensor(u1, dtype=torch.float64).log()).sqrt()
    angle = 2 * torch.pi * torch.tensor(u2, dtype=torch.float64)
    normals = reference.philox_normals(torch.zeros(2, dtype=torch.int64), 1, 2)
    wanted = torch.stack((radius * angle.cos(), radius * angle.sin()))
    torch.testing.assert_close(normals[0].double(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (31, 3), (33, 8), (4096, 8), (5, 21)])
def test_actions_and_log_probs_agree_with_the_reference(shape, device) -> None:
    """The same seed and call number give the same numbers in the reference."""
    g = torch.Generator().manual_seed(0)
    mean = torch.randn(shape, generator=g).to(device)
    log_std = (torch.randn(shape[1], generator=g) * 0.3).to(device)
    state, twin = (torch.tensor([123456789012345, 7], device=device) for _ in range(2))
    actions, log_probs = draw(mean, log_std, state)
    wanted = draw(mean.double(), log_std.double(), twin, reference.gaussian_sample)
    torch.testing.assert_close(actions.double(), wanted[0], rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(log_probs.double(), wanted[1], rtol=1e-4, atol=1e-4)
    assert state.tolist() == twin.tolist() == [123456789012345, 8]


def test_samples_have_the_requested_mean_and_deviation(device) -> None:
    """200 000 draws around 2 with deviation 0.5: errors of about 0.5 / sqrt(200 000) = 0.0011."""
    mean = torch.full((50_000, 4), 2.0, device=device)
    log_std = torch.full((4,), 0.5, device=device).log()
    actions, _ = draw(mean, log_std, torch.tensor([1, 0], device=device))
    assert abs(actions.mean().item() - 2.0) < 0.006
    assert abs(actions.std().item() - 0.5) < 0.005
    assert torch.corrcoef(actions.t()).triu(1).abs().max() < 0.03


def test_each_call_draws_new_samples_and_a_saved_state_repeats_them(device) -> None:
    """The samples depend only on the state."""
    mean, log_std = torch.zeros(10, 3, device=device), torch.zeros(3, device=device)
    state = torch.tensor([5, 0], device=device)
    saved = state.clone()
    first, second = draw(mean, log_std, state)[0], draw(mean, log_std, state)[0]
    assert not torch.equal(first, second)
    assert torch.equal(first, draw(mean, log_std, saved)[0])


def test_a_row_does_not_depend_on_the_number_of_rows(device) -> None:
    """Row 3 of 5 is row 3 of 5000."""
    log_std = torch.zeros(3, device=device)
    few, many = (
        draw(torch.zeros(n, 3, device=device), log_std, torch.tensor([5, 2], device=device))[0]
        for n in (5, 5000)
    )
    assert torch.equal(few, many[:5])


def test_no_rows_are_accepted_and_a_strided_output_is_refused() -> None:
    """Zero sizes are accepted; anything written to a strided output would be lost."""
    state, log_std = torch.tensor([0, 0]), torch.zeros(3)
    draw(torch.zeros(0, 3), log_std, state)
    slot = empty_slot(torch.zeros(4, 3))._replace(actions=torch.empty(3, 4).t())
    with pytest.raises(ValueError) as refusal:
        gaussian_sample(torch.zeros(4, 3), torch.zeros(4), log_std, state, slot)
    assert names(refusal.value, "gaussian_sample", "actions", "contiguous")


def test_columns_of_one_matrix_are_sampled_and_stored(device) -> None:
    """Means and values as a shared network returns them, side by side."""
    outputs = torch.arange(20.0, device=device).view(4, 5)
    slot = empty_slot(outputs[:, :4])
    state, log_std = torch.tensor([3, 1], device=device), torch.full((4,), -20.0, device=device)
    gaussian_sample(outputs[:, :4], outputs[:, 4], log_std, state, slot)
    assert torch.equal(slot.parameters, outputs[:, :4])
    assert torch.equal(slot.values, outputs[:, 4])
    torch.testing.assert_close(slot.actions, outputs[:, :4], atol=1e-6, rtol=0)


def test_opcheck_accepts_schema_and_fake_kernel(device) -> None:
    """Torch's own check of the registration, mutations included."""
    args = (
        torch.zeros(4, 3, device=device),
        torch.zeros(4, device=device),
        torch.zeros(3, device=device),
        torch.tensor([1, 2], device=device),
        *empty_slot(torch.zeros(4, 3, device=device)),
    )
    torch.library.opcheck(torch.ops.rlgpu.gaussian_sample.default, args)
