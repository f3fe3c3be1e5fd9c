"""policy_act: the bits of the ops one after the other; refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from rlgpu.ops import (
    ActionSlot,
    Precision,
    gaussian_sample,
    has_ppo_update,
    mlp,
    normalize,
    policy_act,
)
from tests.ops.updates import NEEDS_AMX, networks_of
from tests.refusals import names

pytestmark = pytest.mark.skipif(
    not has_ppo_update(torch.device("cpu")), reason="needs a CPU with AVX2"
)
CLIP = 2.0


def arguments(
    rows: int = 130,
    separate: bool = False,
    activation: str = "elu",
    seen: tuple[list[int], ...] = (),
    precision: Precision = "fp32",
) -> tuple[list[Any], dict[str, Any]]:
    """Returns random arguments for 7 observations and 5 actions."""
    g = torch.Generator().manual_seed(0)
    networks, size = networks_of([7, 33, 16], 5, separate, activation, [], seen, precision)
    params = 0.3 * torch.randn(size, generator=g)
    observations = 2 * torch.randn(rows, 7, generator=g)
    slot = ActionSlot(*(torch.zeros(shape) for shape in ((rows, 5), rows, (rows, 5), rows)))
    scale, offset = torch.rand(2, 7, generator=g)
    rng_state = torch.tensor([3, 11])
    given = [observations, scale, offset, CLIP, params, rng_state, torch.zeros(rows, 7), slot]
    return given, {"networks": networks}


@pytest.mark.parametrize("rows", [0, 1, 64, 130])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("activation", ["elu", "relu", "tanh"])
@pytest.mark.parametrize("seen", [None, ([0, 3, 4], [1, 2, 3, 4, 5, 6])], ids=["all", "parts"])
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=NEEDS_AMX)])
def test_the_bits_are_those_of_the_ops_one_by_one(
    rows, separate, activation, seen, precision
) -> None:
    """For one thread and for three."""
    columns = seen[: 1 + separate] if seen else ()
    given, named = arguments(rows, separate, activation, columns, precision)
    observations, scale, offset, _, params, rng_state, normalized, slot = given
    wanted, state = torch.empty_like(normalized), rng_state.clone()
    normalize(observations, scale, offset, CLIP, out=wanted)
    outputs = []
    for number in range(1 + separate):
        layers = [x for x in named["networks"].layers if x.network == number]
        weights = [params[x.weight : x.bias].view(x.units, x.width) for x in layers]
        biases = [params[x.bias : x.bias + x.units] for x in layers]
        part = wanted[:, columns[number]] if columns else wanted
        outputs.append(mlp(part, weights, biases, precision, activation))
    other = ActionSlot(*(torch.zeros_like(x) for x in slot))
    gaussian_sample(outputs[0][:, :5], outputs[-1][:, -1], params[:5], state, other)
    threads = torch.get_num_threads()
    for count in (1, 3):
        torch.set_num_threads(count)
        rng_state[1] = 11
        policy_act(*given, **named)
        torch.set_num_threads(threads)
        assert torch.equal(normalized, wanted)
        assert torch.equal(rng_state, state)
        for x, y in zip(slot, other, strict=True):
            assert torch.equal(x, y)


def test_observations_that_are_not_normalised_stay_as_they_are() -> None:
    """NaN, which the policy then passes on."""
    given, named = arguments()
    given[0][3, 2] = math.nan
    given[1] = given[2] = None
    policy_act(*given, **named)
    assert torch.equal(given[6].nan_to_num(9.0), given[0].nan_to_num(9.0))
    assert given[7].actions[3].isnan().all()
    assert given[7].actions[4].isfinite().all()


def test_arguments_that_do_not_fit_are_refused() -> None:
    """Each message names the op and the argument."""
    for index, value, said in (
        (0, torch.zeros(130, 6), "observations"),
        (1, torch.zeros(3), "scale"),
        (2, None, "offset"),
        (5, torch.zeros(2), "rng_state"),
        (6, torch.zeros(7, 130).t(), "normalized"),
    ):
        given, named = arguments()
        given[index] = value
        with pytest.raises(ValueError) as refusal:
            policy_act(*given, **named)
        assert names(refusal.value, "policy_act"), said


def test_opcheck_accepts_schema_and_fake_kernel() -> None:
    """Torch's own check of the registration, mutations included."""
    given, named = arguments(4)
    networks = named["networks"]
    layers = [n for layer in networks.layers for n in layer]
    arguments_ = (*given[:5], layers, [], "elu", "fp32", 0, *given[5:7], *given[7])
    torch.library.opcheck(torch.ops.rlgpu.policy_act.default, arguments_)
