"""The Isaac Gym engine with several actors an environment: how they are numbered and described."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import torch

from rlgpu.config import compose
from rlgpu.sim import ENGINES, Drive, IsaacGymSettings, ResetState, SceneSpec, make_simulator
from rlgpu.sim.mujoco.model import build_model
from rlgpu.sim.physx.actors import actors_of
from rlgpu.sim.physx.description import describe
from rlgpu.tasks import TASKS
from tests.conftest import interpreter
from tests.sim.states import FINE, advance, at_rest, everyone, rows
from tests.sim.test_surroundings import YARD
from tests.task_words import task_words


@pytest.fixture
def yard(tmp_path: Path):
    """A mast and a table on a base, a ball, and a sled with a flap: three actors, nothing moves."""
    asset = tmp_path / "yard.xml"
    asset.write_text(YARD.format(gravity=0))
    scene = SceneSpec(
        asset,
        {"turn": Drive("effort"), "flap": Drive("position", stiffness=1.0)},
        objects=("ball",),
        root="sled",
        force_bodies=("flap",),
        wrench_bodies=("flap", "mast"),
        parameters=("gravity", "body_com"),
        body_states=True,
    )
    python = str(interpreter(tmp_path / "idle", "idle"))
    return make_simulator("isaacgym", scene, FINE, 3, settings=IsaacGymSettings(python=python))


def test_actors_are_trees(yard) -> None:
    """What is fixed is one, below a common base; each free body begins another."""
    actors = [(a.name, a.base, a.is_free, len(a.joints)) for a in actors_of(yard._model)]
    assert actors == [
        ("mast", "rlgpu_base", False, 1),
        ("ball", "", True, 0),
        ("sled", "", True, 1),
    ]


def test_only_the_reset_environments_actors_are_set(yard) -> None:
    """Environment 2: actors 7 and 8 get states, 6 and 8 have joints; all others stay."""
    slots = yard._exchange.tensors
    advance(yard)
    to = ResetState(
        rows(yard, 0.1, 0.2),
        rows(yard, 0.3, 0.4),
        root_pos_w=rows(yard, 7, 8, 9),
        object_pos_w=rows(yard, 1, 2, 3)[:, None],
    )
    yard.reset(torch.tensor([False, False, True]), to)
    advance(yard)
    assert int(slots["reset_count"]) == 1
    assert slots["reset_root_ids"][0].tolist() == [7, 8]
    assert slots["reset_dof_ids"][0].tolist() == [6, 8]
    assert slots["root"][:, :, :3].tolist() == [
        [[7.0] * 3, [2.0, 0.0, 1.0], [4.0, 0.0, 0.0]],  # the base is where the stand-in left it
        [[7.0] * 3, [2.0, 0.0, 1.0], [4.0, 0.0, 0.0]],
        [[7.0] * 3, [1.0, 2.0, 3.0], [7.0, 8.0, 9.0]],
    ]
    torch.testing.assert_close(slots["dof"][2], torch.tensor([[0.1, 0.3], [0.2, 0.4]]))
    torch.testing.assert_close(yard.state.joint_pos[2], torch.tensor([0.1, 0.2]))
    torch.testing.assert_close(yard.state.object_pos_w[2, 0], torch.tensor([1.0, 2.0, 3.0]))


def test_wrenches_are_in_the_scenes_order(yard) -> None:
    """Isaac Gym has the mast's sensor first, as its actor is."""
    slots = yard._exchange.tensors
    slots["wrenches"][:, 0], slots["wrenches"][:, 1] = 1.0, 2.0
    yard.refresh()
    assert yard.state.contact_wrench_b[0, :, 0].tolist() == [2.0, 1.0]


def test_forces_that_are_not_finite_never_reach_physx(yard) -> None:
    """They count as a diverged environment; an environment's own gravity stays beside them."""
    slot = yard._exchange.tensors["forces"]
    yard.set_parameter("gravity", yard.parameters["gravity"] + torch.tensor([0.0, 0.0, -2.0]))
    forces_w = torch.tensor([[[1.0, 0.0, 0.0]], [[torch.nan, 0.0, 0.0]], [[3.0, 0.0, 0.0]]])
    yard.set_forces(forces_w)
    flap = -1  # the last body of the last actor, of 1 kg
    assert slot[:, flap].tolist() == [[1.0, 0.0, -2.0], [0.0, 0.0, -2.0], [3.0, 0.0, -2.0]]
    advance(yard)
    assert yard.state.diverged.tolist() == [False, True, False]
    yard.set_forces(forces_w.nan_to_num())
    advance(yard)
    assert not yard.state.diverged.any()


def test_velocities_are_of_origins_wherever_centres_of_mass_are_moved(yard) -> None:
    """A spin about z of 2 rad/s with the mass 0.1 m ahead: the centre moves at 0.2 m/s."""
    com = yard.parameters["body_com"].clone()
    com[1, :, 0] += 0.1
    yard.set_parameter("body_com", com)
    assert yard._host.tensors["parameter"][1, :3].tolist() == [0.0] * 3  # the base's
    yard.reset(everyone(yard), at_rest(yard, root_ang_vel_w=rows(yard, 0, 0, 2.0)))
    sled = yard._exchange.tensors["reset_root"][:, 2, 7:10]
    wanted = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(sled, wanted)
    advance(yard)
    assert yard.state.root_lin_vel_w.abs().max() < 1e-6


def task_scene(name: str):
    config = compose([f"task={name}"], TASKS, ENGINES).config
    scene = TASKS[name](config.task).scene()
    model = build_model(scene, config.task.timing())
    settings = IsaacGymSettings()
    return describe(model, scene, config.task.timing(), 4, settings, gpu=-1, viewer=False)


def test_terrain_is_described_once_for_all_environments() -> None:
    """Which then have one origin; the ground's friction is the plane's that it replaces."""
    described = task_scene("AnymalTerrain")
    assert described["spacing"] == 0.0
    assert described["ground"]["is_plane"] is False
    terrain = described["terrain"]
    heights = np.frombuffer(base64.b64decode(terrain["heights"]), np.float32)
    assert len(heights) == terrain["shape"][0] * terrain["shape"][1]
    assert heights.max() > 0.5


def test_what_isaac_gym_calls_otherwise_is_described_so() -> None:
    """Ties are held points, a robot without weight is an option, furniture an actor."""
    ball_balance = task_scene("BallBalance")["actors"]
    assert [held["body"] for held in ball_balance[0]["holds"]] == [
        f"lower_leg{i}" for i in range(3)
    ]
    assert np.allclose(ball_balance[0]["holds"][0]["offset"], [0, 0, 0.18])
    assert not ball_balance[1]["holds"]
    franka = task_scene("FrankaCubeStack")["actors"]
    kinds = [(a["name"], a["weightless"], a["fixed_base"]) for a in franka]
    assert kinds == [
        ("panda_link0", True, True),
        ("cube_a", False, False),
        ("cube_b", False, False),
        ("rlgpu_furniture", False, True),
    ]
    assert len(franka[3]["bodies"][0]["shapes"]) == 2


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_covered(name) -> None:
    """No reason against any of our own."""
    config = compose(task_words(name), TASKS, ENGINES).config
    assert not ENGINES["isaacgym"].accept(TASKS[name](config.task).scene(), config.task.timing())
