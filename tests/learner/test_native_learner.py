"""NativeLearner: what it suits, and the same training as step by step."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from rlgpu.config import TrainConfig
from rlgpu.config.schema import CuriosityConfig
from rlgpu.learner import Ppo, RolloutStorage
from rlgpu.ops import has_ppo_update, select_kernels
from rlgpu.spaces import ActionSpace, Continuous, Discrete, numbers
from tests.ops.updates import NEEDS_AMX

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not has_ppo_update(CPU), reason="needs a CPU with AVX2")
T, N, O = 8, 48, 10  # noqa: E741
CONTINUOUS, DISCRETE = Continuous(3), Discrete([3, 2])
# What differs from the defaults, and the space of the actions.
KINDS: dict[str, tuple[dict[str, Any], ActionSpace]] = {
    "shared": ({}, CONTINUOUS),
    "separate": ({"critic_hidden_sizes": [20], "clip_gradients": "per_network"}, CONTINUOUS),
    "critic's rate": ({"separate": True, "critic_learning_rate": 2e-3}, CONTINUOUS),
    "adaptive": ({"schedule": "adaptive", "adaptive_kl": 1e-3}, CONTINUOUS),
    "adaptive by epoch": ({"schedule": "adaptive", "adapt_when": "after_epoch"}, CONTINUOUS),
    "adaptive before": ({"schedule": "adaptive", "adapt_when": "before_step"}, CONTINUOUS),
    "tanh by environment": ({"activation": "tanh", "minibatch_order": "by_env"}, CONTINUOUS),
    "relu in time": ({"activation": "relu", "minibatch_order": "contiguous"}, CONTINUOUS),
    "stops": ({"learning_rate": 1e-2, "target_kl": 0.01}, CONTINUOUS),
    "statistics before": ({"statistics_update": "before"}, CONTINUOUS),
    "halves": ({"precision": "bf16"}, CONTINUOUS),
    "a critic that sees more": ({"privileged": 4}, CONTINUOUS),
    "choices of an actor that sees less": ({"privileged": 1}, DISCRETE),
    "choices": ({"entropy_coef": 0.01, "minibatch_order": "shuffled_once"}, DISCRETE),
    "choices stop": ({"learning_rate": 3e-2, "target_kl": 0.01, "separate": True}, DISCRETE),
}


def agent(space: ActionSpace = CONTINUOUS, *, kernels: str = "compiled", **changes: Any) -> Ppo:
    base = TrainConfig(
        horizon_length=T, hidden_sizes=[32, 16], learning_rate=1e-3, target_kl=0.0, num_epochs=3
    )
    precision, privileged = changes.pop("precision", "fp32"), changes.pop("privileged", 0)
    return Ppo(
        dataclasses.replace(base, **changes),
        numbers(O, privileged=privileged),
        space,
        max_iterations=10,
        num_minibatches=4,
        kernels=select_kernels(kernels, CPU),
        device=CPU,
        seed=3,
        precision=precision,
    )


def rollout(ppo: Ppo, seed: int) -> RolloutStorage:
    """Random observations; the reward is minus the distance of action 0 from observation 0."""
    g, storage = torch.Generator().manual_seed(seed), ppo.new_storage(N)
    for t in range(T):
        storage.observations[t] = torch.randn(N, O, generator=g)
        actions = ppo.act(storage, t)
        storage.rewards[t] = -(actions[:, 0] - storage.observations[t, :, 0]).abs()
        terminated, truncated = torch.rand(2, N, generator=g) < 0.05
        storage.terminated[t], storage.truncated[t] = terminated, truncated & ~terminated
        storage.final_observations[t] = torch.randn(N, O, generator=g)
    storage.last_observations.copy_(torch.randn(N, O, generator=g))
    return storage


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=[NEEDS_AMX] if k == "halves" else []) for k in KINDS]
)
def test_three_updates_train_like_the_ops_one_by_one(kind) -> None:
    """Parameters, moments, counts, rates and every metric; the rollouts are the same."""
    changes, space = KINDS[kind]
    native, general = agent(space, **changes), agent(space, **changes)
    general._native = None
    assert native._native is not None
    start = native.flat.params.clone()
    for seed in range(3):
        storage = rollout(general, seed)
        native.rng_state[1] += T
        found, wanted = native.update(storage), general.update(storage)
        for name, value in found._asdict().items():
            torch.testing.assert_close(
                value, getattr(wanted, name), rtol=1e-3, atol=1e-5, msg=f"{name} {seed}"
            )
    moved = (general.flat.params - start).norm()
    assert moved > 0.01
    assert (native.flat.params - general.flat.params).norm() < 1e-3 * moved
    for name, value in native.optimizer.state._asdict().items():
        wanted_value = getattr(general.optimizer.state, name)
        torch.testing.assert_close(value, wanted_value, rtol=2e-3, atol=1e-5)
    assert torch.equal(native.rng_state, general.rng_state)
    stops = "stop" in kind
    assert (found.epochs.item() < 3) == stops
    assert torch.equal(native.progress.stop, general.progress.stop)


def test_the_first_minibatch_has_ratio_one_and_kl_zero() -> None:
    """Acting and updating use the same products."""
    for space in (CONTINUOUS, DISCRETE):
        ppo = agent(space, num_epochs=1, learning_rate=0.0, target_kl=1e-9)
        metrics = ppo.update(rollout(ppo, 0))
        assert metrics.last_kl.item() == metrics.approx_kl.item() == 0.0
        assert metrics.clip_fraction.item() == 0.0
        assert metrics.epochs.item() == 1.0


def test_gradients_that_are_not_finite_skip_the_same_steps() -> None:
    """An observation that is not a number."""
    results = []
    for is_native in (True, False):
        ppo = agent()
        storage = rollout(ppo, 0)
        storage.normalized_observations[2, 5, 7] = torch.nan
        ppo._native = ppo._native if is_native else None
        metrics = ppo.update(storage)
        results.append((metrics.nonfinite_steps.item(), metrics.epochs.item()))
        assert ppo.flat.params.isfinite().all()
    assert results == [(3, 9 / 4)] * 2


@pytest.mark.parametrize("in_one_call", [True, False])
def test_the_gpu_code_path_gives_the_same_weights(in_one_call) -> None:
    """It values all final observations, not only those needed, and never stops early: same bits."""
    usual, pretending = (agent(learning_rate=3e-2, target_kl=0.01) for _ in range(2))
    for ppo in (usual, pretending):
        ppo._native = ppo._native if in_one_call else None
    for seed in range(3):
        usual.update(rollout(usual, seed))
        storage = rollout(pretending, seed)
        pretending.host_may_read = False
        pretending.update(storage)
        assert torch.equal(usual.flat.params, pretending.flat.params)
        assert torch.equal(usual.rng_state, pretending.rng_state)


def test_a_resumed_agent_continues_bit_for_bit() -> None:
    """An iteration, saved and restored into a fresh agent, and two more."""
    whole, first, second = agent(), agent(), agent()
    for seed in range(3):
        whole.update(rollout(whole, seed))
    first.update(rollout(first, 0))
    second.load_state_dict(first.state_dict())
    for seed in (1, 2):
        second.update(rollout(second, seed))
    assert torch.equal(whole.flat.params, second.flat.params)
    assert torch.equal(whole.optimizer.state.exp_avg_sq, second.optimizer.state.exp_avg_sq)


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "silu"},
        {"layer_norm": True},
        {"memory": "lstm"},
        {"state_dependent_std": True},
        {"action_distribution": "tanh_gaussian"},
        {"normalize_advantages": "minibatch"},
        {"kl_estimate": "sampled"},
        {"kl_reference": "last_visit", "minibatch_order": "by_env"},
        {"statistics_update": "first_epoch"},
        {"curiosity": CuriosityConfig(weight=1.0)},
        {"precision": "bf16", "hidden_sizes": [1025]},
        {"kernels": "torch"},
    ],
    ids=lambda x: next(iter(x)),
)
def test_what_it_does_not_compute_goes_step_by_step(changes) -> None:
    """And still trains."""
    ppo = agent(**changes)
    assert ppo._native is None
    before = ppo.flat.params.clone()
    ppo.update(rollout(ppo, 0))
    assert not torch.equal(before, ppo.flat.params)


def test_more_actions_than_it_takes_go_step_by_step() -> None:
    """65 choices."""
    assert agent(Discrete([65]))._native is None
    assert agent(Discrete([64]))._native is not None


@pytest.mark.parametrize("changes", [{}, {"separate": True}, {"normalize_observations": False}])
def test_acting_in_one_call_has_the_bits_of_the_ops_one_by_one(changes) -> None:
    """Everything that a rollout keeps, after an update has moved the normaliser."""
    native, general = agent(**changes), agent(**changes)
    native.update(rollout(native, 0))
    general.load_state_dict(native.state_dict())
    general._native = None
    kept, wanted = rollout(native, 1), rollout(general, 1)
    for x, y in zip(kept.batch(), wanted.batch(), strict=True):
        assert torch.equal(x, y)
    assert torch.equal(native.rng_state, general.rng_state)
    assert wanted.normalized_observations.std() > 0.5
