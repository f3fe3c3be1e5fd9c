"""gae: numbers worked by hand, the float64 reference over odd shapes, errors, repeatability."""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.ops import gae, reference
from tests.refusals import names

SHAPES = [(1, 1), (5, 1), (3, 31), (7, 33), (16, 4096), (33, 70), (16, 257), (40, 300)]


def rollout(t: int, n: int, device: torch.device, seed: int = 0) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    rewards, values, final_values = torch.randn(3, t, n, generator=g)
    ends = torch.rand(t, n, generator=g)
    tensors = [rewards, values, ends < 0.1, ends > 0.9, final_values, torch.randn(n, generator=g)]
    return [x.to(device) for x in tensors]


def in_float64(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [x.double() if x.is_floating_point() else x for x in tensors]


def test_advantages_of_a_two_step_rollout_match_numbers_worked_by_hand(device) -> None:
    """One environment, gamma 0.5, lambda 0.5, nothing ends."""
    # delta_1 = 2 + 0.5 * 8 - 3 = 3         advantage_1 = 3
    # delta_0 = 1 + 0.5 * 3 - 2 = 0.5       advantage_0 = 0.5 + 0.25 * 3 = 1.25
    one = lambda *xs: torch.tensor(xs, device=device)[:, None]  # noqa: E731
    no = torch.zeros(2, 1, dtype=torch.bool, device=device)
    nan = torch.full((2, 1), math.nan, device=device)
    result = gae(
        one(1.0, 2.0),
        one(2.0, 3.0),
        no,
        no,
        nan,
        torch.tensor([8.0], device=device),
        gamma=0.5,
        gae_lambda=0.5,
        normalize=False,
    )
    assert result.advantages[:, 0].tolist() == [1.25, 3.0]
    assert result.returns[:, 0].tolist() == [3.25, 6.0]


def test_a_failure_has_no_future_value_and_cuts_the_trace(device) -> None:
    """Three environments end at step 0: by failure, by time limit, by both."""
    # failure:    1 + 0 - 2 = -1.  time limit: 1 + 0.5 * 10 - 2 = 4.  both: as a failure.
    rewards = torch.ones(2, 3, device=device)
    values = torch.full((2, 3), 2.0, device=device)
    terminated = torch.tensor([[True, False, True], [False] * 3], device=device)
    truncated = torch.tensor([[False, True, True], [False] * 3], device=device)
    final = torch.full((2, 3), 10.0, device=device)
    result = gae(
        rewards,
        values,
        terminated,
        truncated,
        final,
        torch.zeros(3, device=device),
        gamma=0.5,
        gae_lambda=0.5,
        normalize=False,
    )
    assert result.advantages[0].tolist() == [-1.0, 4.0, -1.0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("normalize", [False, True])
def test_gae_agrees_with_the_float64_reference(shape, normalize, device) -> None:
    """Odd and even sizes, short and long horizons."""
    tensors = rollout(*shape, device)
    constants = {"gamma": 0.99, "gae_lambda": 0.95, "normalize": normalize}
    result = gae(*tensors, **constants)
    wanted = reference.gae(*in_float64(tensors), **constants)
    torch.testing.assert_close(result.advantages.double(), wanted.advantages, rtol=1e-5, atol=3e-5)
    torch.testing.assert_close(result.returns.double(), wanted.returns, rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize("flag", [2, 3])
def test_gae_agrees_when_every_step_ends(flag, device) -> None:
    """All terminated, and all truncated."""
    tensors = rollout(6, 40, device)
    tensors[2], tensors[3] = torch.zeros_like(tensors[2]), torch.zeros_like(tensors[3])
    tensors[flag] = torch.ones_like(tensors[flag])
    result = gae(*tensors, gamma=0.99, gae_lambda=0.95)
    wanted = reference.gae(*in_float64(tensors), gamma=0.99, gae_lambda=0.95)
    torch.testing.assert_close(result.advantages.double(), wanted.advantages, rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_gae_of_an_empty_rollout_is_empty(shape, device) -> None:
    """Zero steps or zero environments."""
    result = gae(*rollout(*shape, device), gamma=0.99, gae_lambda=0.95)
    assert result.advantages.shape == shape
    assert result.returns.shape == shape


def test_a_single_normalised_advantage_is_zero(device) -> None:
    """One element has no standard deviation."""
    result = gae(*rollout(1, 1, device), gamma=0.99, gae_lambda=0.95)
    assert result.advantages.item() == 0.0


def test_gae_gives_the_same_result_for_views_and_copies(device) -> None:
    """Environment-major storage seen through a transpose."""
    tensors = rollout(9, 70, device)
    views = [x.t().contiguous().t() if x.dim() == 2 else x for x in tensors]
    plain = gae(*tensors, gamma=0.9, gae_lambda=0.8)
    viewed = gae(*views, gamma=0.9, gae_lambda=0.8)
    assert torch.equal(plain.advantages, viewed.advantages)


def test_nan_spreads_only_within_its_environment(device) -> None:
    """Without normalisation, a NaN reward does not affect the other environments."""
    tensors = rollout(8, 5, device)
    tensors[0][3, 2] = math.nan
    advantages = gae(*tensors, gamma=0.99, gae_lambda=0.95, normalize=False).advantages
    assert advantages[:, [0, 1, 3, 4]].isfinite().all()
    assert advantages[3, 2].isnan()


def test_final_values_are_read_only_where_truncated(device) -> None:
    """NaN elsewhere has no effect."""
    tensors = rollout(8, 33, device)
    clean = gae(*tensors, gamma=0.99, gae_lambda=0.95)
    tensors[4] = torch.where(tensors[3], tensors[4], math.nan)
    dirty = gae(*tensors, gamma=0.99, gae_lambda=0.95)
    assert torch.equal(clean.advantages, dirty.advantages)


def test_two_runs_give_the_same_bits_at_any_number_of_threads() -> None:
    """Moments are combined in a fixed order."""
    tensors = rollout(16, 5000, torch.device("cpu"))
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        results.append(gae(*tensors, gamma=0.99, gae_lambda=0.95).advantages)
    torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("index", "value", "named"),
    [
        (0, torch.zeros(3), ("rewards", 1, 2)),
        (1, torch.zeros(4, 6), ("values", [4, 6], [4, 5])),
        (2, torch.zeros(4, 5), ("terminated", "Float", "Bool")),
        (4, torch.zeros(4, 5, dtype=torch.float64), ("final_values", "Double", "Float")),
        (5, torch.zeros(4), ("last_values", [4], [5])),
    ],
)
def test_a_wrong_argument_is_refused_by_name(index, value, named) -> None:
    """The message names the op, the argument, what it got and what it wanted."""
    tensors = rollout(4, 5, torch.device("cpu"))
    tensors[index] = value
    with pytest.raises(ValueError) as refusal:
        gae(*tensors, gamma=0.99, gae_lambda=0.95)
    assert names(refusal.value, "gae", *named)


def test_opcheck_accepts_schema_and_fake_kernel(device) -> None:
    """Torch's own check of the registration."""
    args = (*rollout(4, 5, device), 0.99, 0.95, True)
    torch.library.opcheck(torch.ops.rlgpu.gae.default, args)


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs a second GPU")
def test_gae_runs_on_the_second_gpu() -> None:
    """A missing device guard would launch on the first GPU."""
    tensors = rollout(16, 100, torch.device("cuda:1"))
    result = gae(*tensors, gamma=0.99, gae_lambda=0.95)
    wanted = reference.gae(*in_float64(tensors), gamma=0.99, gae_lambda=0.95)
    torch.testing.assert_close(result.advantages.double(), wanted.advantages, rtol=1e-5, atol=3e-5)
