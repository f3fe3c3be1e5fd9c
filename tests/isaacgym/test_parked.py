"""Environments that are worlds of one model, which holds actors that some of them lack."""

from __future__ import annotations

import mujoco
import pytest
import torch
from mixed import build, contents, parts, play
from scenes import GYM, at, close, ids, new_env, new_sim, run, unwrap, wrapped

from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.drawing.mirrors import Mirrors
from rlgpu.isaacgym.simulation import grouping

ENVIRONMENTS = tuple(contents(index) for index in (0, 3, 13, 14, 15, 30, 31, 47)) * 2
ENGINES = ("mujoco", "fused")


@pytest.fixture
def apart(monkeypatch):
    """Returns a function that builds a scene in which each kind has its own model."""

    def build_apart(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(grouping, "way_out", lambda _sim: None)
            return build(*arguments)

    return build_apart


def parked(scene):
    """Returns positions, velocities and mocap poses of all actors that environments lack."""
    found = []
    for group in scene.sim.world.groups:
        where, array = group.layout.places, group.worlds.array
        for world, seats in enumerate(group.kind.seats):
            for i, slot in enumerate(where.free):
                if slot not in seats:
                    found.append(array("qpos")[world, where.free_qpos[i]].clone())
                    found.append(array("qvel")[world, where.free_qvel[i]].clone())
            for i, slot in enumerate(where.held):
                if slot not in seats:
                    found.append(array("mocap_pos")[world, where.held_mocap[i]].clone())
    return torch.cat(found)


def test_a_long_play_is_that_of_models_without_parked_actors(tmp_path, apart):
    """MuJoCo C, 200 steps with pushes and resets: every tensor has the same bits."""
    scene = build("mujoco", tmp_path, ENVIRONMENTS)
    other = apart("mujoco", tmp_path, ENVIRONMENTS)
    assert (len(scene.sim.world.groups), len(other.sim.world.groups)) == (2, 6)
    numbers = range(len(ENVIRONMENTS))
    for mine, theirs in zip(play(scene, numbers, 200), play(other, numbers, 200), strict=True):
        for name, tensor in mine.items():
            assert torch.equal(tensor, theirs[name]), name


def test_the_fused_engine_moves_them_as_in_models_without_parked_actors(tmp_path, apart):
    """To rounding, as vectors of other widths round differently, while no contact begins."""
    scene = build("fused", tmp_path, ENVIRONMENTS)
    other = apart("fused", tmp_path, ENVIRONMENTS)
    assert (len(scene.sim.world.groups), len(other.sim.world.groups)) == (2, 8)
    numbers = range(len(ENVIRONMENTS))
    for mine, theirs in zip(play(scene, numbers, 8), play(other, numbers, 8), strict=True):
        for name, tensor in mine.items():
            scale = max(1.0, float(theirs[name].abs().max()))
            close(tensor, theirs[name], atol=1e-5 * scale, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_parked_actors_stay_where_they_are(engine, tmp_path):
    """Bit for bit, over pushes, resets, saved states and changes that rebuild the worlds."""
    scene = build(engine, tmp_path, ENVIRONMENTS)
    sim, numbers = scene.sim, range(len(ENVIRONMENTS))
    start = parked(scene)
    assert start[start != 0].abs().max() > 1e4
    play(scene, numbers, 12)
    assert torch.equal(parked(scene), start)
    saved = sim.world.worlds.state_dict()
    bodies = GYM.get_actor_rigid_body_properties(scene.envs[1], 1)
    bodies[0].mass *= 2
    GYM.set_actor_rigid_body_properties(scene.envs[1], 1, bodies, recomputeInertia=True)
    params = GYM.get_sim_params(sim)
    params.gravity = gymapi.Vec3(1, 0, -5)
    GYM.set_sim_params(sim, params)
    play(scene, numbers, 4)
    assert torch.equal(parked(scene), start)
    GYM.set_actor_root_state_tensor(sim, unwrap(scene.tensors["actor_root_state"]))
    sim.world.worlds.load_state_dict(saved)
    run(sim, 2)
    assert torch.equal(parked(scene), start)
    assert not sim.world.worlds.diverged.any()
    assert not sim.world.worlds.overflowed.any()


@pytest.mark.parametrize("engine", ENGINES)
def test_parked_actors_stay_when_gravity_leads_into_the_ground(engine, tmp_path):
    """The direction in which they are parked is that of the beginning, also in rebuilt worlds."""
    scene = build(engine, tmp_path, ENVIRONMENTS)
    sim, start = scene.sim, parked(scene)
    params = GYM.get_sim_params(sim)
    params.gravity = gymapi.Vec3(0, 0, 9.8)
    GYM.set_sim_params(sim, params)
    bodies = GYM.get_actor_rigid_body_properties(scene.envs[1], 1)
    bodies[0].mass *= 2
    GYM.set_actor_rigid_body_properties(scene.envs[1], 1, bodies, recomputeInertia=True)
    run(sim, 3)
    assert torch.equal(parked(scene), start)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_environment_that_diverges_parks_its_actors_again(engine, tmp_path):
    """It restarts alone."""
    scene = build(engine, tmp_path, ENVIRONMENTS)
    start, root = parked(scene), scene.tensors["actor_root_state"]
    lost = GYM.get_actor_index(scene.envs[3], 1, gymapi.DOMAIN_SIM)
    root[lost, 7] = float("nan")
    GYM.set_actor_root_state_tensor_indexed(scene.sim, unwrap(root), ids(lost), 1)
    scene.sim.world.worlds.step(1)
    assert scene.sim.world.worlds.diverged.nonzero().flatten().tolist() == [3]
    run(scene.sim, 2)
    assert root.isfinite().all()
    assert torch.equal(parked(scene), start)


def test_contacts_are_those_of_an_environments_own_actors(tmp_path, apart):
    """The list of single contacts and the numbers of their bodies, after objects have landed."""
    scenes = [make("mujoco", tmp_path, ENVIRONMENTS) for make in (build, apart)]
    for scene in scenes:
        run(scene.sim, 60)
    for mine, theirs in zip(*(scene.envs for scene in scenes), strict=True):
        contacts, expected = map(GYM.get_env_rigid_contacts, (mine, theirs))
        assert len(expected) > 0
        for name in ("body0", "body1"):
            assert contacts[name].tolist() == expected[name].tolist()
        close(contacts["lambda"], expected["lambda"], rtol=1e-6)


def test_parked_actors_are_not_drawn(tmp_path):
    """A scene has one geom of MuJoCo's for each of the ground's and the environment's shapes."""
    geoms = {"arm": 0, "crawler": 3, "box": 1, "ball": 1, "pill": 1}
    geoms |= {"dumbbell": 3, "large dumbbell": 3}
    scene = build("mujoco", tmp_path, ENVIRONMENTS)
    mirrors = Mirrors(scene.sim.world)
    # In this order, a geom that was hidden is shown again.
    for index in (0, 4, 7, 4, 0):
        mirror = mirrors.show(index)
        drawn = mujoco.MjvScene(mirror.model, 100)
        every, camera = mujoco.mjtCatBit.mjCAT_ALL.value, mujoco.MjvCamera()
        mujoco.mjv_updateScene(
            mirror.model, mirror.data, mujoco.MjvOption(), None, camera, every, drawn
        )
        assert drawn.ngeom == 1 + sum(geoms[name] for name in ENVIRONMENTS[index])


def drawn_colors(sim, index):
    """Returns the colours of an environment's geoms as they are drawn, without the ground."""
    mirror = Mirrors(sim.world).show(index)
    model = mirror.model
    shown = (model.geom_bodyid > 0) & (model.geom_rgba[:, 3] > 0)
    return model.geom_rgba[shown, :3].round(3).tolist()


def test_environments_of_one_model_have_their_own_colours(tmp_path):
    """Colours of files and of scripts, also those that change in a running simulation."""
    colors = {"red": [1.0, 0.0, 0.0], "green": [0.0, 1.0, 0.0], "blue": [0.0, 0.0, 1.0]}
    sim, assets = new_sim("mujoco"), {}
    for name, color in colors.items():
        text = "<mujoco><worldbody><body><freejoint/><geom size='0.1' rgba='{} {} {} 1'/></body>"
        file = tmp_path / f"{name}.xml"
        file.write_text(text.format(*color) + "</worldbody></mujoco>")
        assets[name] = GYM.load_asset(sim, str(tmp_path), file.name, gymapi.AssetOptions())
    scenes = [("red",), ("red", "green"), ("blue",), ("red",)]
    for index, names in enumerate(scenes):
        env = new_env(sim)
        for place, name in enumerate(names):
            GYM.create_actor(env, assets[name], at(x=float(place)), f"ball{place}", index, 0)
    GYM.prepare_sim(sim)
    assert len(sim.world.groups) == 1
    for index, names in enumerate(scenes):
        assert drawn_colors(sim, index) == [colors[name] for name in names]
    orange = gymapi.Vec3(1.0, 0.5, 0.0)
    GYM.set_rigid_body_color(sim.envs[3], 0, 0, gymapi.MESH_VISUAL, orange)
    assert [drawn_colors(sim, i)[0] for i in (0, 3)] == [colors["red"], [1.0, 0.5, 0.0]]


@pytest.mark.parametrize("engine", ENGINES)
def test_actors_without_joints_may_come_in_any_order(engine):
    """A ball lies on a fixed table where there is one, else on the ground; a box is beside it."""
    sim, fixed = new_sim(engine, dt=0.005, ground=True), gymapi.AssetOptions()
    fixed.fix_base_link = True
    things = {
        "table": (GYM.create_box(sim, 0.6, 0.6, 0.4, fixed), at(z=0.2)),
        "ball": (GYM.create_sphere(sim, 0.1, gymapi.AssetOptions()), at(z=0.52)),
        "box": (GYM.create_box(sim, 0.2, 0.2, 0.2, gymapi.AssetOptions()), at(x=2.0, z=0.12)),
    }
    scenes = [("table", "ball"), ("ball",), ("box", "ball", "table"), (), ("ball", "box")]
    for index, names in enumerate(scenes):
        env = new_env(sim)
        for name in names:
            GYM.create_actor(env, *things[name], name, index, 0)
    GYM.prepare_sim(sim)
    assert len(sim.world.groups) == 1
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    bodies = wrapped(GYM.acquire_rigid_body_state_tensor(sim))
    contacts = wrapped(GYM.acquire_net_contact_force_tensor(sim))
    run(sim, 200)
    heights = [0.2, 0.5, 0.1, 0.1, 0.5, 0.2, 0.1, 0.1]
    close(roots[:, 2], heights, atol=5e-3)
    close(bodies[:, :3], roots[:, :3], atol=1e-6)
    ball, box = 1000 * 4.18879e-3 * 9.81, 1000 * 0.2**3 * 9.81
    expected = [-ball, ball, ball, box, ball, -ball, ball, box]
    close(contacts[:, 2], expected, rtol=0.02)
    row = [GYM.get_actor_index(sim.envs[2], 2, gymapi.DOMAIN_SIM)]
    roots[row, 2] += 0.3
    GYM.set_actor_root_state_tensor_indexed(sim, unwrap(roots), ids(*row), 1)
    close(bodies[[0, 5], 2], [0.2, 0.5], atol=5e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_filters_and_groups_count_between_the_actors_that_are_there(engine):
    """Two balls on one spot part if their rules let them; one model holds all pairs' rules."""
    sim = new_sim(engine, gravity=(0, 0, 0))
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    rules = [((0, 0), (0, 0)), ((5, 6), (0, 0)), ((2, 2), (1, 1)), ((3, 3), (1, 2))]
    for groups, filters in rules:
        env = new_env(sim)
        for i in range(2):
            GYM.create_actor(env, ball, at(x=0.1 * i, z=1.0), f"ball{i}", groups[i], filters[i])
    GYM.prepare_sim(sim)
    assert len(sim.world.groups) == 1
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim)).view(-1, 2, 13)
    run(sim, 20)
    assert (roots[:, 1, 0] - roots[:, 0, 0] > 0.15).tolist() == [True, False, False, True]


def fallen(normals, engine="mujoco"):
    """Returns how many models there are of a ball and of none, and the ball's speed downwards."""
    sim = new_sim(engine, gravity=(0, -9.81, 0))
    for normal, distance in normals:
        plane = gymapi.PlaneParams()
        plane.normal, plane.distance = gymapi.Vec3(*normal), distance
        GYM.add_ground(sim, plane)
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    GYM.create_actor(new_env(sim), ball, at(y=3.0), "ball", 0, 0)
    new_env(sim)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 10)
    return len(sim.world.groups), float(roots[0, 8])


def test_there_is_a_way_out_unless_a_plane_bars_it():
    """Along y, against gravity; a ceiling leaves each kind its own model."""
    floor, ceiling = ((0, 1, 0), 0.0), ((0, -1, 0), 10.0)
    assert fallen([floor]) == (1, pytest.approx(-0.981, rel=1e-4))
    assert fallen([floor, ceiling]) == (2, pytest.approx(-0.981, rel=1e-4))


def test_a_model_is_not_shared_by_many_environments_that_would_park_much():
    """Of 40 environments with six balls and 40 with one, MuJoCo C would step 200 parked balls."""
    for each, models in ((4, 1), (40, 2)):
        sim = new_sim("mujoco")
        ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
        for count in (6, 1):
            for _ in range(each):
                env = new_env(sim)
                for i in range(count):
                    GYM.create_actor(env, ball, at(x=float(i), z=1.0), f"ball{i}", 0, 0)
        GYM.prepare_sim(sim)
        assert len(sim.world.groups) == models


def test_an_actor_that_an_attractor_holds_is_never_parked():
    """Environments with a held ball, a held ball and a free one, and a free one."""
    sim = new_sim("mujoco", dt=0.005)
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    box = GYM.create_box(sim, 0.2, 0.2, 0.2, gymapi.AssetOptions())
    for index, names in enumerate((("held",), ("free", "held"), ("free",))):
        env = new_env(sim)
        for place, name in enumerate(names):
            pose = at(x=float(place), z=1.0)
            GYM.create_actor(env, ball if name == "held" else box, pose, name, index, 0)
        if "held" in names:
            properties = gymapi.AttractorProperties()
            properties.stiffness, properties.damping = 5e7, 5e3
            properties.axes = gymapi.AXIS_TRANSLATION
            properties.rigid_handle = names.index("held")
            properties.target.p = gymapi.Vec3(0.1 + names.index("held"), 0, 1.0)
            GYM.create_rigid_body_attractor(env, properties)
    GYM.prepare_sim(sim)
    assert len(sim.world.groups) == 2
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 100)
    close(roots[[0, 2], 0], [0.1, 1.1], atol=2e-3)
    close(roots[[0, 2], 2], [1.0, 1.0], atol=2e-3)
    close(roots[[1, 3], 9], [-9.81 * 0.5] * 2, rtol=1e-3)
    GYM.set_attractor_target(sim.envs[1], 0, at(x=1.0, z=1.2))
    run(sim, 100)
    close(roots[[0, 2]][:, [0, 2]], [[0.1, 1.0], [1.0, 1.2]], atol=2e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_tensors_have_the_rows_of_an_environments_own_actors(engine, tmp_path):
    """Their lengths, and a name's Jacobians and mass matrices only where it is."""
    scene = build(engine, tmp_path, ENVIRONMENTS)
    counts = [len(names) for names in ENVIRONMENTS]
    assert [len(p) for p in parts(scene, "actor_root_state")] == counts
    masses = wrapped(GYM.acquire_mass_matrix_tensor(scene.sim, "box"))
    boxes = sum("box" in names for names in ENVIRONMENTS)
    assert masses.shape == (boxes, 6, 6)
    # A box of 0.2 m x 0.1 m x 0.1 m and 1000 kg/m^3.
    close(masses[:, 0, 0], [2.0] * boxes, rtol=1e-5)
