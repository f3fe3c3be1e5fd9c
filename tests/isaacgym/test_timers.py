"""Performance timers."""

from __future__ import annotations

import time

import pytest
from scenes import GYM, at, new_env, new_sim, run, unwrap, wrapped

from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.simulation.world import World
from tests.refusals import names


def falling_ball():
    """Returns a prepared simulation of a ball."""
    sim = new_sim("auto")
    GYM.create_actor(new_env(sim), GYM.create_sphere(sim, 0.1, None), at(), "ball", 0, 0)
    GYM.prepare_sim(sim)
    return sim


def test_timers_measure_physics_and_transfers(monkeypatch):
    """A simulate that takes 20 ms and a setter that takes 10 ms; reading starts from 0 again."""
    sim = falling_ball()
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    simulate, set_roots = World.simulate, World.set_roots

    def slow_simulate(world):
        time.sleep(0.02)
        simulate(world)

    def slow_set_roots(world, *args):
        time.sleep(0.01)
        set_roots(world, *args)

    monkeypatch.setattr(World, "simulate", slow_simulate)
    monkeypatch.setattr(World, "set_roots", slow_set_roots)
    GYM.simulate(sim)  # before there are timers
    handle = GYM.create_performance_timers(sim)
    run(sim, 3)
    GYM.set_actor_root_state_tensor(sim, unwrap(roots))
    time.sleep(0.03)
    timers = GYM.get_performance_timers(sim, handle)
    assert isinstance(timers, gymapi.PerformanceTimers)
    assert timers.physics_sim >= 0.06
    assert timers.physics_data_movement >= 0.01
    assert timers.total_time >= timers.physics_sim + timers.physics_data_movement + 0.03
    assert (timers.graphics_viewer_rendering, timers.frame_idling) == (0.0, 0.0)
    again = GYM.get_performance_timers(sim, handle)
    assert again.physics_sim == 0.0
    assert again.total_time < timers.total_time


def test_sets_of_timers_are_read_by_themselves():
    """Reading one leaves the other; a set that was destroyed is refused."""
    sim = falling_ball()
    first, second = (GYM.create_performance_timers(sim) for _ in range(2))
    run(sim, 2)
    seconds = GYM.get_performance_timers(sim, first).physics_sim
    run(sim, 2)
    assert GYM.get_performance_timers(sim, second).physics_sim > seconds > 0.0
    GYM.destroy_performance_timers(sim, first)
    with pytest.raises(IndexError) as refusal:
        GYM.get_performance_timers(sim, first)
    assert names(refusal.value, first, f"[{second}]", "create_performance_timers")
