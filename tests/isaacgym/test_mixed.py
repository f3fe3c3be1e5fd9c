"""Environments that hold different actors behave as those of simulations of alike ones."""

from __future__ import annotations

import pytest
import torch
from mixed import build, contents, parts, play

NUMBERS = tuple(range(12))


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_each_environment_moves_as_among_alike_ones(engine, tmp_path):
    """Every tensor of every step equals that of a simulation with this kind alone, bit for bit."""
    environments = [contents(number // 2) for number in NUMBERS]
    mixed = build(engine, tmp_path, environments)
    assert len(mixed.sim.world.groups) == 6
    found = play(mixed, NUMBERS)
    for kind in set(environments):
        numbers = [n for n in NUMBERS if environments[n] == kind]
        alike = build(engine, tmp_path, [kind] * len(numbers))
        assert len(alike.sim.world.groups) == 1
        for step, (ours, theirs) in enumerate(zip(found, play(alike, numbers), strict=True)):
            for name in theirs:
                mine = parts(mixed, name, ours[name])
                for number, part in zip(numbers, parts(alike, name, theirs[name]), strict=True):
                    assert torch.equal(mine[number], part), (kind, step, name, number)
