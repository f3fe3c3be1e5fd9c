"""ppo_update: gradients, steps and decisions against the float64 reference; bits; refusals."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from rlgpu.ops import (
    METRICS,
    AdamHyperparameters,
    AdamState,
    Layer,
    PpoBatch,
    PpoCoefficients,
    UpdateNetworks,
    UpdateRules,
    has_ppo_update,
    mlp,
    ppo_update,
    reference_update,
)
from tests.refusals import names

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not has_ppo_update(CPU), reason="needs a CPU with AVX2")
RULES = UpdateRules(0.0, 0.008, 1e-6, 1e-2, -5.0, 2.0)
KL = METRICS.index("approx_kl")


class State(NamedTuple):
    """What an update overwrites."""

    params: Tensor
    grads: Tensor
    adam: AdamState
    progress: list[Tensor]
    learning_rate: Tensor


def networks_of(
    sizes: list[int],
    num_outputs: int,
    separate: bool,
    activation: str,
    choices: list[int],
    seen: tuple[list[int], ...] = (),
) -> tuple[UpdateNetworks, int]:
    """Returns the layout of networks with these inputs and hidden layers, and its size.

    seen: The columns that each network sees, if not all.
    """
    at, layers, ends = 0, [], []
    outputs = [[num_outputs], [1]] if separate else [[num_outputs + 1]]
    log_std = 0 if choices else num_outputs
    at = log_std
    for number, last in enumerate(outputs):
        inputs = len(seen[number]) if seen else sizes[0]
        for width, units in pairwise([inputs, *sizes[1:], *last]):
            layers.append(Layer(number, width, units, at, at + width * units))
            at += width * units + units
        ends.append(at)
    groups = [slice(a, b) for a, b in pairwise([0, *ends])]
    ratios = [0.0, *[0.5] * (len(groups) - 1)]
    columns = [column for part in seen for column in part]
    return UpdateNetworks(layers, activation, 0, choices, groups, ratios, columns), at  # type: ignore


def outputs_of(params: Tensor, networks: UpdateNetworks, observations: Tensor) -> Tensor:
    """Returns the outputs of the first network."""
    layers = [layer for layer in networks.layers if layer.network == 0]
    if networks.columns:
        observations = observations[:, networks.columns[: layers[0].width]]
    weights = [params[x.weight : x.bias].view(x.units, x.width) for x in layers]
    biases = [params[x.bias : x.bias + x.units] for x in layers]
    return mlp(observations, weights, biases, activation=networks.activation)


def rollout_of(
    params: torch.Tensor,
    networks: UpdateNetworks,
    rows: int,
    width: int,
    num_outputs: int,
    choices: tuple[int, ...],
    noise: float,
    g: torch.Generator,
) -> list[torch.Tensor]:
    """Returns the columns of a rollout by a policy near that of some parameters."""
    randn = lambda *shape: torch.randn(*shape, generator=g)  # noqa: E731
    observations = randn(rows, width)
    parameters = outputs_of(params, networks, observations)[:, :num_outputs]
    parameters = parameters + noise * randn(rows, num_outputs)
    columns = [torch.randint(n, (rows,), generator=g).float() for n in choices]
    if choices:
        parts = parameters.split(list(choices), -1)
        actions = torch.stack(columns, -1)
        pairs = zip(parts, columns, strict=True)
        log_probs = sum(torch.distributions.Categorical(logits=x).log_prob(y) for x, y in pairs)
    else:
        actions = parameters + 0.6 * randn(rows, num_outputs)
        old = torch.distributions.Normal(parameters, math.exp(-0.5))
        log_probs = old.log_prob(actions).sum(-1)
    return [observations, actions, log_probs, parameters, randn(rows), randn(rows), randn(rows)]


def problem(
    *,
    rows: int = 640,
    sizes: tuple[int, ...] = (10, 32, 16),
    separate: bool = False,
    activation: str = "elu",
    choices: tuple[int, ...] = (),
    num_actions: int = 3,
    epochs: int = 2,
    num_minibatches: int = 4,
    clip_value: bool = True,
    dtype: torch.dtype = torch.float32,
    learning_rate: float = 1e-3,
    noise: float = 0.3,
    seen: tuple[list[int], ...] = (),
    **given: Any,
) -> tuple[State, dict[str, Any]]:
    """Returns what an update overwrites, and its other arguments, of random data."""
    g = torch.Generator().manual_seed(0)
    num_outputs = sum(choices) or num_actions
    networks, size = networks_of(
        list(sizes), num_outputs, separate, activation, list(choices), seen
    )
    params = 0.25 * torch.randn(size, generator=g)
    if not choices:
        params[:num_actions] = -0.5
    batch = rollout_of(params, networks, rows, sizes[0], num_outputs, choices, noise, g)
    coefficients = PpoCoefficients(0.2, 2.0, clip_value, 0.01, 1e-2).tensor(CPU)
    ids = torch.stack([torch.randperm(rows, generator=g) for _ in range(epochs)])
    progress = [
        torch.tensor(False),
        torch.tensor(False),
        *(torch.zeros(s, dtype=dtype) for s in ((), (6,), (), (), (2,))),
    ]
    mean, other = 0.01 * torch.randn(2, size, generator=g).to(dtype)
    counts = [torch.full((len(networks.groups),), n, dtype=torch.int64) for n in (50, 0)]
    state = State(
        params.to(dtype),
        torch.zeros(size, dtype=dtype),
        AdamState(mean, 100.0 * other.square(), *counts),
        progress,
        torch.tensor(learning_rate, dtype=dtype),
    )
    arguments = {
        "rollout": PpoBatch(*(x.to(dtype) for x in batch)),
        "ids": ids,
        "old_log_std": torch.full((num_actions,), -0.5, dtype=dtype),
        "coefficients": coefficients.to(dtype),
        "networks": networks,
        "num_minibatches": num_minibatches,
        "adam": AdamHyperparameters(max_grad_norm=1.0),
        "rules": RULES,
    }
    return state, arguments | given


def both(**how: Any) -> tuple[State, State]:
    """Returns what the op and the float64 reference leave behind."""
    results = []
    for function, dtype in (
        (ppo_update, torch.float32),
        (reference_update.ppo_update, torch.float64),
    ):
        state, arguments = problem(dtype=dtype, **how)
        function(*state, **arguments)
        results.append(state)
    return results[0], results[1]


def relative(x: Tensor, wanted: Tensor) -> float:
    return float((x.double() - wanted).norm() / wanted.norm())


KINDS: dict[str, dict[str, Any]] = {
    "shared": {},
    "separate": {"separate": True},
    "odd sizes": {"sizes": (37, 101, 50), "num_actions": 5, "rows": 603, "num_minibatches": 3},
    "one row": {"rows": 1, "num_minibatches": 1},
    "many rows": {"rows": 5000, "num_minibatches": 1, "sizes": (60, 64, 33)},
    "no hidden layer": {"sizes": (7,)},
    "relu": {"activation": "relu", "clip_value": False},
    "tanh": {"activation": "tanh"},
    "choices": {"choices": (4,)},
    "several choices": {"choices": (2, 5, 1), "separate": True},
    "other columns each": {"seen": ([0, 1, 2, 9], [3, 2, 1, 4, 5, 6, 7, 8]), "separate": True},
    "some columns": {"seen": ([8, 1, 4],)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_and_metrics_of_a_minibatch_agree_with_autograd(kind) -> None:
    """In float64, to 1e-6 of the gradients' norm."""
    how = KINDS[kind] | {"epochs": 1, "learning_rate": 0.0}
    ours, wanted = both(**how)
    assert relative(ours.grads, wanted.grads) < 1e-6
    steps = how.get("num_minibatches", 4)
    assert ours.progress[2].item() == wanted.progress[2].item() == steps
    torch.testing.assert_close(ours.progress[3].double(), wanted.progress[3], rtol=1e-5, atol=2e-6)
    assert ours.progress[5].item() == pytest.approx(wanted.progress[5].item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_update_moves_the_parameters_like_the_reference(kind) -> None:
    """The change of parameters and of both moments, over two epochs."""
    start, _ = problem(**KINDS[kind])
    ours, wanted = both(**KINDS[kind])
    assert relative(ours.params - start.params, wanted.params - start.params.double()) < 1e-4
    for x, y in zip(ours.adam[:2], wanted.adam[:2], strict=True):
        assert relative(x, y) < 1e-4
    for x, y in zip(ours.adam[2:], wanted.adam[2:], strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("when", ["after_step", "before_step", "after_epoch"])
@pytest.mark.parametrize("from_start", [False, True])
@pytest.mark.parametrize("target", [1e-7, 1e-3, 10.0])
def test_the_adaptive_rate_follows_the_kl_like_the_reference(when, from_start, target) -> None:
    """A KL above, around and below the target, from the first minibatch on or later."""
    rules = RULES._replace(adaptive_kl=target)
    how = {"rules": rules, "adapt_when": when, "adapt_from_start": from_start}
    ours, wanted = both(**how, separate=True)
    assert ours.learning_rate.item() == pytest.approx(wanted.learning_rate.item(), rel=1e-5)
    torch.testing.assert_close(ours.progress[6].double(), wanted.progress[6], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("when", ["never", "after_step", "before_step", "after_epoch"])
@pytest.mark.parametrize("separate", [False, True])
def test_the_kl_ends_the_update_at_the_same_minibatch(when, separate) -> None:
    """The minibatch that ends it takes no step, and no later one does."""
    how = {"separate": separate, "learning_rate": 5e-3, "adapt_when": when, "noise": 0.0}
    unlimited, _ = both(**how)
    limit = 0.9 * unlimited.progress[4].item()
    ours, wanted = both(**how, rules=RULES._replace(kl_limit=limit))
    assert ours.progress[0].item() and wanted.progress[0].item()
    assert 0 < ours.progress[2].item() == wanted.progress[2].item() < 8
    assert torch.equal(ours.adam.step, wanted.adam.step)
    assert ours.progress[4].item() == pytest.approx(wanted.progress[4].item(), rel=1e-4)
    assert ours.learning_rate.item() == pytest.approx(wanted.learning_rate.item(), rel=1e-5)


@pytest.mark.parametrize("separate", [False, True])
def test_gradients_that_are_not_finite_skip_the_step(separate) -> None:
    """NaN advantages spoil the actor: a shared network, or the actor's group alone."""
    results = []
    for function, dtype in (
        (ppo_update, torch.float32),
        (reference_update.ppo_update, torch.float64),
    ):
        state, arguments = problem(dtype=dtype, separate=separate)
        arguments["rollout"].advantages[17] = math.nan
        function(*state, **arguments)
        results.append(state)
    ours, wanted = results
    assert torch.equal(ours.adam.step, wanted.adam.step)
    assert torch.equal(ours.adam.nonfinite_steps, wanted.adam.nonfinite_steps)
    assert ours.adam.nonfinite_steps.tolist() == [2, 0][: 1 + separate]  # one in each epoch
    assert ours.progress[2].item() == wanted.progress[2].item() == 6
    assert relative(ours.params, wanted.params) < 1e-5
    assert ours.params.isfinite().all()


def test_the_log_std_stays_within_its_limits() -> None:
    """Both limits are inside what one step changes."""
    rules = RULES._replace(min_log_std=-0.5001, max_log_std=-0.4999)
    ours, wanted = both(rules=rules, learning_rate=1e-2)
    torch.testing.assert_close(ours.params[:3].double(), wanted.params[:3], rtol=0, atol=1e-7)
    assert set(ours.params[:3].tolist()) <= {torch.tensor(x).item() for x in (-0.5001, -0.4999)}


@pytest.mark.parametrize("kind", ["shared", "odd sizes", "many rows", "other columns each"])
def test_the_bits_do_not_depend_on_the_number_of_threads(kind) -> None:
    """Slices of rows are fixed and added in order."""
    threads, results = torch.get_num_threads(), []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        state, arguments = problem(**KINDS[kind])
        ppo_update(*state, **arguments)
        results.append(state)
    torch.set_num_threads(threads)
    for other in results[1:]:
        assert torch.equal(other.params, results[0].params)
        assert torch.equal(other.progress[3], results[0].progress[3])


def test_an_untouched_policy_has_ratio_one_and_kl_zero() -> None:
    """The old parameters are those that the op itself computes: exactly no change."""
    state, arguments = problem(choices=(4, 3), epochs=1, num_minibatches=1, learning_rate=0.0)
    rollout = arguments["rollout"]
    outputs = outputs_of(state.params, arguments["networks"], rollout.normalized_observations)
    rollout.parameters.copy_(outputs[:, :7])
    rollout.log_probs.fill_(math.nan)  # recomputed from the logits
    ppo_update(*state, **arguments)
    assert state.progress[4].item() == 0.0
    surrogate = state.progress[3][METRICS.index("surrogate_loss")].double()
    torch.testing.assert_close(surrogate, -rollout.advantages.double().mean(), rtol=1e-5, atol=1e-7)
    assert state.progress[3][METRICS.index("clip_fraction")].item() == 0.0


def refused(change: Any) -> Exception:
    state, arguments = problem()
    state, arguments = change(state, arguments)
    with pytest.raises(ValueError) as refusal:
        ppo_update(*state, **arguments)
    return refusal.value


def test_arguments_that_do_not_fit_are_refused() -> None:
    """Each message names the op and the argument."""
    short = refused(lambda s, a: (s._replace(grads=torch.zeros(3)), a))
    assert names(short, "ppo_update", "grads", [3])
    uneven = refused(lambda s, a: (s, a | {"num_minibatches": 7}))
    assert names(uneven, "ppo_update", "7", "640")
    ids = torch.full((2, 640), 640)
    assert names(refused(lambda s, a: (s, a | {"ids": ids})), "ppo_update", "ids", "640")
    layers = [Layer(0, 9, 4, 0, 36)]
    networks = problem()[1]["networks"]
    wrong = refused(lambda s, a: (s, a | {"networks": networks._replace(layers=layers)}))
    assert names(wrong, "ppo_update", "9", "10")
    kind = networks._replace(activation="silu")
    assert names(refused(lambda s, a: (s, a | {"networks": kind})), "ppo_update", "silu")
    few = networks._replace(columns=[0, 1])
    assert names(refused(lambda s, a: (s, a | {"networks": few})), "ppo_update", "2", "columns")
    many = networks._replace(columns=list(range(11)))
    assert names(refused(lambda s, a: (s, a | {"networks": many})), "ppo_update", "11", "10")
    other = networks._replace(columns=[*range(9), 10])
    assert names(refused(lambda s, a: (s, a | {"networks": other})), "ppo_update", "10")
    choices = networks._replace(choices=[2, 2])
    assert names(refused(lambda s, a: (s, a | {"networks": choices})), "ppo_update", "choices")
    assert names(refused(lambda s, a: (s, a | {"adapt_when": "now"})), "adapt_when", "now")


def test_opcheck_accepts_schema_and_fake_kernel() -> None:
    """Torch's own check of the registration, mutations included."""
    state, a = problem(rows=8, num_minibatches=2)
    networks = a["networks"]
    arguments = (
        [state.params, state.grads, *state.adam],
        state.progress,
        state.learning_rate,
        list(a["rollout"]),
        a["ids"],
        a["old_log_std"],
        a["coefficients"],
        [n for layer in networks.layers for n in layer],
        list(range(10)),
        "elu",
        0,
        [],
        [networks.groups[0].stop],
        [0.0],
        2,
        list(a["adam"]),
        list(RULES),
        "never",
        False,
    )
    torch.library.opcheck(torch.ops.rlgpu.ppo_update.default, arguments)
