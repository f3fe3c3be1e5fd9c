"""ppo_update: gradients, steps and decisions against the float64 reference; bits; refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rlgpu.ops import (
    METRICS,
    Layer,
    has_ppo_update,
    ppo_update,
    reference_update,
)
from tests.ops.updates import CPU, NEEDS_AMX, RULES, State, outputs_of, problem
from tests.refusals import names

pytestmark = pytest.mark.skipif(not has_ppo_update(CPU), reason="needs a CPU with AVX2")
KL = METRICS.index("approx_kl")


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


@NEEDS_AMX
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_rounded_operands_are_off_by_their_rounding(kind) -> None:
    """bfloat16 has 8 bits: a share of 2e-3 of each operand, and about 1 % of the gradients.

    Far from the clipping, at which a row's gradient jumps.
    """
    how = KINDS[kind] | {"epochs": 1, "learning_rate": 0.0, "noise": 0.0, "clip_value": False}
    ours, wanted = both(**how, precision="bf16")
    exact, _ = both(**how)
    assert 1e-4 < relative(ours.grads, wanted.grads) < 4e-2  # relu jumps too, at zero
    assert relative(exact.grads, wanted.grads) < 1e-6
    torch.testing.assert_close(ours.progress[3].double(), wanted.progress[3], rtol=2e-2, atol=2e-2)


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


@pytest.mark.parametrize(
    "kind", ["shared", "odd sizes", "many rows", "several choices", "other columns each"]
)
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=NEEDS_AMX)])
def test_the_bits_do_not_depend_on_the_number_of_threads(kind, precision) -> None:
    """Slices of rows are fixed and added in order."""
    threads, results = torch.get_num_threads(), []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        state, arguments = problem(**KINDS[kind], precision=precision)
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
        "fp32",
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


@NEEDS_AMX
def test_layers_too_wide_for_halves_are_refused() -> None:
    """The message names the size and the limit; the learner takes the ops one by one then."""
    state, arguments = problem(sizes=(10, 1025), precision="bf16")
    with pytest.raises(ValueError) as refusal:
        ppo_update(*state, **arguments)
    assert names(refusal.value, "ppo_update", "1025", "1024")
