"""Required of every engine: objects that are another body in another environment."""

from __future__ import annotations

import mujoco
import pytest
import torch

from rlgpu.errors import UnknownName, UnsupportedModel
from rlgpu.sim import SceneSpec, Timing
from rlgpu.sim.mujoco.object_choices import ObjectChoices
from tests.sim.states import advance, at_rest, everyone, rows

YARD = """<mujoco><worldbody><geom type="plane" size="5 5 1"/>
  <body name="post" pos="1 0 0.5"><joint name="turn" axis="0 0 1"/>
    <geom type="box" size=".05 .05 .1" mass="1"/></body>
  <body name="cube" pos="0 0 1"><freejoint/><geom type="box" size=".05 .05 .05" mass="1"/></body>
  <body name="ball" pos="0 0 1"><freejoint/><geom type="sphere" size=".1" mass="1"/></body>
  <body name="brick" pos="0 0 1"><freejoint/><geom type="box" size=".2 .1 .15" mass="1"/></body>
  <body name="tile" pos="0 1 1"><freejoint/><geom type="box" size=".1 .1 .02" mass="1"/></body>
  <body name="disc" pos="0 1 1"><freejoint/><geom type="sphere" size=".03" mass="1"/></body>
</worldbody></mujoco>"""
OBJECTS = (["cube", "ball", "brick"], ("tile", "disc"))
# Half a height each, at which it rests.
RESTS = ([0.05, 0.1, 0.15], [0.02, 0.03])
SLOW = Timing(physics_dt=0.002, decimation=5)


@pytest.fixture
def yard(make, request):
    """Returns a function that builds seven environments; skips an engine that refuses them."""
    if "isaacgym" in request.node.name:
        pytest.skip("it refuses them; see below")
    return lambda n=7: make(YARD, n, SLOW, objects=OBJECTS)


def test_environments_take_the_bodies_cyclically(yard) -> None:
    """All of a list come as often, and with every body of the other list."""
    kind = yard(12).state.object_kind
    assert kind.dtype == torch.int64
    assert kind[:3, 0].tolist() == [0, 1, 2]
    pairs = kind.unique(dim=0, return_counts=True)
    assert pairs[0].tolist() == [[i, k] for i in range(3) for k in range(2)]
    assert pairs[1].tolist() == [2] * 6


def test_each_environment_has_its_body_alone(yard) -> None:
    """Each rests at its own half height, where three or two together would push each other off."""
    sim = yard()
    sim.reset(everyone(sim), at_rest(sim))
    sim.set_targets(torch.zeros(sim.num_envs, 1))
    for _ in range(120):
        advance(sim)
    kind = sim.state.object_kind
    for k, heights in enumerate(RESTS):
        wanted = torch.tensor(heights)[kind[:, k]]
        torch.testing.assert_close(sim.state.object_pos_w[:, k, 2], wanted, atol=2e-3, rtol=0)
    assert (sim.state.object_pos_w[:, 0, :2].abs() < 5e-3).all()
    assert (sim.state.object_lin_vel_w.abs() < 1e-2).all()


def test_a_reset_moves_the_body_that_an_environment_has(yard) -> None:
    """Poses and velocities are read back, in the chosen environments alone."""
    sim = yard()
    sim.reset(everyone(sim), at_rest(sim))
    before = sim.state.object_pos_w.clone()
    place = torch.rand(7, 2, 3) + torch.tensor([[0.0, 0.0, 2.0], [0.0, 2.0, 2.0]])
    spin = torch.rand(7, 2, 3)
    mask = torch.arange(7) % 2 == 0
    sim.reset(mask, at_rest(sim, object_pos_w=place, object_ang_vel_w=spin))
    torch.testing.assert_close(sim.state.object_pos_w[mask], place[mask])
    torch.testing.assert_close(sim.state.object_ang_vel_w[mask], spin[mask])
    assert torch.equal(sim.state.object_pos_w[~mask], before[~mask])
    advance(sim)
    # v = -g t after 0.01 s, whatever the body.
    fall = rows(sim, -0.0981)[:, None].expand(-1, 2, -1)[mask]
    torch.testing.assert_close(sim.state.object_lin_vel_w[mask][..., 2:], fall, atol=1e-4, rtol=0)


def test_bodies_that_wait_stay_out_of_reach(yard) -> None:
    """A hundred metres above all else, however long, and at rest."""
    sim = yard()
    sim.reset(everyone(sim), at_rest(sim))
    mirror = sim.mirror()
    for _ in range(50):
        advance(sim)
    for env_id in range(7):
        mirror.show(env_id)
        heights = {
            name: float(mirror.data.body(name).xpos[2]) for name in OBJECTS[0] + [*OBJECTS[1]]
        }
        near = {name for name, height in heights.items() if height < 5}
        kinds = sim.state.object_kind[env_id].tolist()
        assert near == {OBJECTS[k][kind] for k, kind in enumerate(kinds)}
        assert all(height > 100 for name, height in heights.items() if name not in near)


HILL = """<mujoco><worldbody><geom type="plane" size="5 5 1" pos="0 0 400"/>
  <body name="post" pos="1 0 400.5"><joint name="turn" axis="0 0 1"/>
    <geom type="box" size=".05 .05 .1" mass="1"/></body>
  <body name="cube" pos="0 0 401"><freejoint/><geom type="box" size=".1 .1 .1" mass="1"/></body>
  <body name="lance" pos="0 0 401"><freejoint/>
    <geom type="box" size=".1 .1 .1" pos="0 0 -30" mass="1"/>
    <geom type="box" size=".1 .1 .1" pos="0 0 30" mass="1"/></body>
  <body name="ball" pos="0 0 401"><freejoint/><geom type="sphere" size=".1" mass="1"/></body>
</worldbody></mujoco>"""


def test_bodies_wait_above_high_ground_and_apart(make, request) -> None:
    """Shapes, which may be far from their bodies' origins, keep their distance."""
    if "isaacgym" in request.node.name:
        pytest.skip("it refuses them; see below")
    sim = make(HILL, 3, SLOW, objects=(["cube", "lance", "ball"],))
    sim.reset(everyone(sim), at_rest(sim))
    advance(sim)
    mirror = sim.mirror()
    for env_id in range(3):
        mirror.show(env_id)
        waiting = [name for i, name in enumerate(("cube", "lance", "ball")) if i != env_id]
        spans = []
        for name in waiting:
            body = mirror.model.body(name)
            geoms = range(body.geomadr[0], body.geomadr[0] + body.geomnum[0])
            heights = [float(mirror.data.geom_xpos[geom, 2]) for geom in geoms]
            spans.append((min(heights), max(heights)))
        low, high = sorted(spans)
        assert low[0] > 400 + 99
        assert high[0] > low[1] + 0.5


def test_indices_are_on_the_scenes_device(tmp_path) -> None:
    """Also where a scene has no objects."""
    scene = SceneSpec(tmp_path / "none.xml", {})
    model = mujoco.MjModel.from_xml_string(YARD)
    kind = ObjectChoices(model, scene, 3, torch.device("meta")).kind
    assert kind.device.type == "meta"
    assert (kind.shape, kind.dtype) == ((3, 0), torch.int64)


def test_a_saved_state_has_the_same_bodies(yard) -> None:
    """What is saved and restored goes on with the same bits."""
    sim, other = yard(), yard()
    for each in (sim, other):
        each.reset(everyone(each), at_rest(each))
    for _ in range(30):
        advance(sim)
    other.load_state_dict(sim.state_dict())
    for each in (sim, other):
        advance(each)
    assert torch.equal(sim.state.object_pos_w, other.state.object_pos_w)


@pytest.mark.parametrize("objects", [(["cube", "chair"],), (["cube"], "post")])
def test_bodies_that_are_not_free_are_refused(make, objects) -> None:
    """By the name that is wrong."""
    with pytest.raises(UnknownName) as caught:
        make(YARD, objects=objects)
    assert caught.value.name in ("chair", "post")


@pytest.mark.parametrize("objects", [([],), (["cube", "ball"], "ball")])
def test_lists_that_say_nothing_or_too_much_are_refused(make, objects) -> None:
    """A list without a body, and a body that two objects may be."""
    with pytest.raises(ValueError):
        make(YARD, objects=objects)


def test_isaac_gym_refuses_them(make, request) -> None:
    """PhysX's actors are the same in every environment here."""
    if "isaacgym" not in request.node.name:
        pytest.skip("the engine has them")
    with pytest.raises(UnsupportedModel) as caught:
        make(YARD, objects=("cube", ["ball", "brick"], "tile", "disc"))
    assert [reason.kind for reason in caught.value.reasons] == ["object_choice"]
