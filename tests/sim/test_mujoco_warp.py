"""Tests specific to MuJoCo Warp: agreement with MuJoCo C, aliasing, overflow, restarts, resets."""

from __future__ import annotations

from pathlib import Path

import mujoco
import pytest
import torch

from rlgpu.envs import VecEnv
from rlgpu.sim import (
    MujocoWarpSettings,
    ResetState,
    SceneSpec,
    Simulator,
    Timing,
    make_simulator,
)
from rlgpu.sim.mujoco.contacts import bounds
from rlgpu.sim.mujoco.worlds import WorldsRequest, worlds_class
from rlgpu.tasks.ant import Ant, AntConfig
from rlgpu.tasks.cartpole import Cartpole, CartpoleConfig

ANT, CARTPOLE = AntConfig(name="Ant"), CartpoleConfig(name="Cartpole")
N = 8

BALLS = """<mujoco><worldbody><geom type="plane" size="5 5 1"/>
  <body pos="0 0 .1"><freejoint name="root"/><geom type="sphere" size=".1" mass="1"/>
  <geom type="sphere" size=".1" mass="1" pos=".3 0 0"/>
  <geom type="sphere" size=".1" mass="1" pos="0 .3 0"/>
  <body><joint name="j" damping="1"/><geom type="sphere" size=".05" pos="0 0 .3" mass=".1"/></body>
  </body></worldbody></mujoco>"""


def both(task_class, config, g: torch.Generator) -> tuple[Simulator, Simulator]:
    """Returns MuJoCo C in the task's random start state, and MuJoCo Warp in the asset's pose."""
    scene = task_class(config).scene()
    ours, theirs = (
        make_simulator(engine, scene, config.timing(), N) for engine in ("mujoco", "mujoco_warp")
    )
    start = task_class(config)
    start.bind(ours)
    ours.reset(torch.ones(N, dtype=torch.bool), start.reset_state(g))
    return ours, theirs


def advance(*sims: Simulator) -> None:
    for sim in sims:
        sim.step()
        sim.refresh()


def copy_state(source: Simulator, target: Simulator) -> None:
    """Copies the state of every world to the other engine; neither engine keeps any history."""
    s = source.state
    everyone = torch.ones(source.num_envs, dtype=torch.bool)
    now = ResetState(
        s.joint_pos.clone(),
        s.joint_vel.clone(),
        s.root_pos_w.clone(),
        s.root_quat_w.clone(),
        s.root_lin_vel_w.clone(),
        s.root_ang_vel_w.clone(),
    )
    source.reset(everyone, now)
    target.reset(everyone, now)


def largest_difference(a: Simulator, b: Simulator) -> float:
    return max(
        (getattr(a.state, name) - getattr(b.state, name)).abs().max().item()
        for name in ("root_pos_w", "joint_pos", "root_lin_vel_w", "joint_vel")
    )


def test_ants_move_alike_on_both_engines_for_300_steps() -> None:
    """Random torques; every 20 control steps both engines restart from the same state.

    MuJoCo C computes in float64; MuJoCo Warp computes in float32 and its solver stops at a
    tolerance of 1e-6. Ground contacts double such a difference within about 15 physics steps, so
    over a window of 40 physics steps 1e-6 grows by a factor of less than a thousand; without the
    restarts, two correct engines would be a robot's length apart after a few seconds.
    """
    g = torch.Generator().manual_seed(0)
    ours, theirs = both(Ant, ANT, g)
    differences, wrenches = [], []
    for t in range(300):
        if t % 20 == 0:
            copy_state(ours, theirs)
        targets = 15.0 * (2 * torch.rand(N, 8, generator=g) - 1)
        for sim in (ours, theirs):
            sim.set_targets(targets)
            sim.step()
            sim.refresh()
        if t % 20 == 19:
            differences.append(largest_difference(ours, theirs))
            gap = ours.state.contact_wrench_b - theirs.state.contact_wrench_b
            wrenches.append(gap.abs().max().item())
    assert ours.state.contact_wrench_b.abs().max() > 0.5  # the feet are loaded
    assert sorted(differences)[len(differences) // 2] < 1e-4, differences
    assert max(differences) < 1e-2, differences
    assert sorted(wrenches)[len(wrenches) // 2] < 1e-2, wrenches


def test_a_standing_ant_and_a_falling_pole_stay_together_for_300_steps() -> None:
    """Nothing is chaotic here, so no restarts are needed: only float32 and float64 differ."""
    for task_class, config, tolerance in ((Ant, ANT, 2e-3), (Cartpole, CARTPOLE, 2e-2)):
        ours, theirs = both(task_class, config, torch.Generator().manual_seed(1))
        copy_state(ours, theirs)
        for _ in range(300):
            advance(ours, theirs)
        gap = (ours.state.joint_pos - theirs.state.joint_pos).abs().max().item()
        assert gap < tolerance, (task_class.__name__, gap)


def test_warps_arrays_are_aliased_without_copies() -> None:
    """A write to the state's tensors changes the engine's own state."""
    sim = make_simulator("mujoco_warp", Ant(ANT).scene(), ANT.timing(), 2)
    assert sim.state.joint_pos.data_ptr() == sim.worlds._d.qpos.ptr + 7 * 4
    sim.state.root_pos_w[1, 2] = 7.0
    assert sim.worlds._d.qpos.numpy()[1, 2] == 7.0
    assert sim.worlds._d.qpos.numpy()[0, 2] == pytest.approx(0.44)


def test_the_contact_budget_covers_every_contact_the_ant_can_have() -> None:
    """13 spheres on the ground, four pyramid edges each, and 8 joint limits; none is dropped."""
    sim = make_simulator("mujoco_warp", Ant(ANT).scene(), ANT.timing(), 4)
    assert bounds(sim.worlds.model) == (13, 13 * 4, 8)
    assert "at most 13 contacts (nconmax) and 60 constraint rows (njmax)" in sim.description
    env = VecEnv(Ant(ANT), sim, seed=0)
    g = torch.Generator().manual_seed(0)
    for _ in range(200):
        env.step(torch.rand(4, 8, generator=g) * 2 - 1)
    assert env.counts.overflowed.item() == 0


def test_a_contact_overflow_is_reported_not_hidden(tmp_path: Path) -> None:
    """Three balls touch the ground and the budget is one constraint row: every world reports it."""
    asset = tmp_path / "balls.xml"
    asset.write_text(BALLS)
    scene, timing = SceneSpec(asset, {}), Timing(0.002, 2)
    sim = make_simulator("mujoco_warp", scene, timing, 3, settings=MujocoWarpSettings(njmax=1))
    roomy = make_simulator("mujoco_warp", scene, timing, 3)
    advance(sim, roomy)
    assert sim.state.overflowed.all()
    assert not roomy.state.overflowed.any()


def test_bounds_count_the_contacts_that_may_occur(tmp_path: Path) -> None:
    """Each of the four balls may touch the ground; no two balls may touch each other."""
    asset = tmp_path / "balls.xml"
    asset.write_text(BALLS)
    model = mujoco.MjModel.from_xml_path(str(asset))
    # The child's ball may touch the ground but does not collide with its parent.
    assert bounds(model) == (4, 4 * 4, 0)


@pytest.mark.parametrize(
    ("kinds", "most"),
    [
        (("plane", "sphere"), 1),
        (("sphere", "box"), 1),
        (("plane", "capsule"), 2),
        (("capsule", "capsule"), 2),
        (("plane", "box"), 4),
        (("plane", "cylinder"), 4),
        (("box", "box"), 8),
        (("cylinder", "cylinder"), 5),
        (("ellipsoid", "cylinder"), 5),
    ],
)
def test_bounds_are_those_of_the_kinds_of_geoms(kinds, most) -> None:
    """Counted in MuJoCo's collision functions; each contact has four pyramid edges."""
    fixed, free = kinds
    model = mujoco.MjModel.from_xml_string(f"""<mujoco><worldbody>
      <geom type="{fixed}" size="1 1 1"/><body><freejoint/><geom type="{free}" size=".1 .1 .1"/>
      </body></worldbody></mujoco>""")
    assert bounds(model) == (most, 4 * most, 0)


@pytest.mark.parametrize("count", [2, 80])
def test_friction_that_only_another_world_has_finds_room(count) -> None:
    """All joints of the second world stop; the engine stores the Jacobian of many as sparse."""
    geom = '<geom size=".1" mass="1" contype="0" conaffinity="0"/>'
    bodies = (f'<body pos="0 {i} 0"><joint axis="0 1 0"/>{geom}</body>' for i in range(count))
    text = f"<mujoco><worldbody>{''.join(bodies)}</worldbody></mujoco>"
    model = mujoco.MjModel.from_xml_string(text)
    request = WorldsRequest(2, torch.device("cpu"), ("dof_frictionloss",))
    worlds = worlds_class("mujoco_warp").build(model, request)
    worlds.field("dof_frictionloss")[1] = 10.0
    worlds.fields_written(request.fields)
    worlds.array("qvel")[:] = 1e-3
    worlds.step(50)
    worlds.check()
    assert not worlds.overflowed.any()
    torch.testing.assert_close(worlds.array("qvel")[0], torch.full((count,), 1e-3))
    assert (worlds.array("qvel")[1].abs() < 1e-5).all()
    worlds.close()


def test_a_non_finite_world_is_restarted_alone_and_keeps_no_history() -> None:
    """NaN in world 1's velocity: reported once, reset to the asset's pose, others unaffected."""
    config = ANT
    sim = make_simulator("mujoco_warp", Ant(config).scene(), config.timing(), 3)
    twin = make_simulator("mujoco_warp", Ant(config).scene(), config.timing(), 3)
    for each in (sim, twin):
        for _ in range(20):
            each.step()
            each.refresh()
    sim.worlds.array("qvel")[1, 3] = torch.nan
    advance(sim, twin)
    assert sim.state.diverged.tolist() == [False, True, False]
    assert sim.state.root_pos_w[1].tolist() == pytest.approx([0, 0, 0.44])
    assert sim.state.contact_wrench_b.isfinite().all()
    for _ in range(5):
        advance(sim, twin)
    assert not sim.state.diverged.any()
    for world in (0, 2):
        assert torch.equal(sim.worlds.array("qpos")[world], twin.worlds.array("qpos")[world])


def test_a_reset_with_an_empty_mask_changes_nothing() -> None:
    """The mask selects no world, and the unused rows hold NaN."""
    config = ANT
    sim = make_simulator("mujoco_warp", Ant(config).scene(), config.timing(), 3)
    advance(sim)
    before = {name: value.clone() for name, value in sim.state_dict().items()}
    nobody = torch.zeros(3, dtype=torch.bool)
    joints = torch.full((3, 8), torch.nan)
    sim.reset(nobody, ResetState(joints, joints))
    assert all(torch.equal(before[name], value) for name, value in sim.state_dict().items())
