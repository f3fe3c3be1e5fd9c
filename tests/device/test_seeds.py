"""Seeds of any size, and seeds that share no random numbers."""

from __future__ import annotations

import pytest
import torch

import rlgpu
from rlgpu.device import derived_seed, environment_seeds, generator_seed
from rlgpu.errors import UsageError
from rlgpu.learner import options
from rlgpu.spaces import Continuous, numbers


def first_observations(seed: int) -> torch.Tensor:
    env = rlgpu.make_env("Cartpole", num_envs=4, seed=seed, sim="mujoco")
    env.sim.close()
    return env.observations


def test_small_seeds_are_those_of_torch() -> None:
    """A run's numbers do not change with rlgpu's version."""
    assert [generator_seed(seed) for seed in (0, 1, 42, 2**32 - 1)] == [0, 1, 42, 2**32 - 1]


@pytest.mark.parametrize("large", [2**32, 2**32 + 1, 2**40 + 1, 2**63 - 1])
def test_a_seed_beyond_32_bits_is_another_seed(large) -> None:
    """Torch's generator on the CPU repeats seed 1 with 2**32 + 1."""
    others = [first_observations(seed) for seed in (large % 2**32, large - 1)]
    assert not any(torch.equal(first_observations(large), other) for other in others)
    assert torch.equal(first_observations(large), first_observations(large))


@pytest.mark.parametrize("seed", [2**32, 2**63 - 1])
def test_every_global_generator_takes_a_seed_of_63_bits(seed, tmp_path) -> None:
    """Training seeds NumPy, which takes 32 bits only."""
    result = rlgpu.train(
        "Cartpole",
        quiet=True,
        num_envs=4,
        max_iterations=1,
        seed=seed,
        runs_dir=str(tmp_path),
        sim="mujoco",
        train={"hidden_sizes": [4], "horizon_length": 2},
    )
    assert result.iterations == 1
    agents = [
        rlgpu.PPOAgent(numbers(3), Continuous(1), hidden_sizes=[4], seed=s) for s in (seed, 0)
    ]
    weights = [torch.cat([p.flatten() for p in agent.model.parameters()]) for agent in agents]
    assert not torch.equal(*weights)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_outside_the_range_is_refused(seed) -> None:
    """Before anything is built."""
    with pytest.raises(UsageError) as refusal:
        rlgpu.PPOAgent(numbers(3), Continuous(1), seed=seed)
    assert (refusal.value.key, refusal.value.value) == ("seed", seed)


def test_seeds_for_different_purposes_differ() -> None:
    """From each other, for adjacent seeds, and from the seeds themselves."""
    derived = [derived_seed(seed, purpose) for seed in range(100) for purpose in range(10)]
    assert len(set(derived)) == 1000
    assert min(derived) > 100


def test_curiosity_does_not_begin_with_the_next_seeds_numbers(monkeypatch) -> None:
    """Its networks have other random numbers than the policy of any seed nearby."""
    seeds = []

    class Recorder(options.Curiosity):
        def __init__(self, *arguments: object) -> None:
            seeds.append(torch.initial_seed())
            super().__init__(*arguments)

    monkeypatch.setattr(options, "Curiosity", Recorder)
    for seed in (1, 2):
        rlgpu.PPOAgent(numbers(3), Continuous(1), seed=seed, curiosity={"weight": 0.1})
    assert len(set(seeds)) == 2
    assert min(seeds) > 10


def test_environments_of_adjacent_seeds_have_different_seeds() -> None:
    """All of 31 bits, as C's ``int`` has them; more environments keep the first ones' seeds."""
    seeds = [seed for run in range(20) for seed in environment_seeds(run, 64)]
    assert len(set(seeds)) == len(seeds)
    assert 0 <= min(seeds) <= max(seeds) < 2**31
    assert environment_seeds(3, 64) == environment_seeds(3, 200)[:64]
