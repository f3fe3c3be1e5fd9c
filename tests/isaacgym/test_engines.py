"""The engine that a script runs on if nobody names one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from scenes import GYM, at, close, new_env, new_sim, run, wrapped
from test_tendons import SLIDES

from rlgpu.errors import UnsupportedModel
from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.simulation import engines
from rlgpu.isaacgym.simulation.build import UnsupportedVariation
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds


def ball_in(env):
    """Adds a ball above an environment's origin."""
    ball = GYM.create_sphere(env.sim, 0.1, gymapi.AssetOptions())
    GYM.create_actor(env, ball, at(z=0.5), "ball", 0, 0)


def test_a_scene_that_it_covers_is_on_the_fused_engine(capsys):
    """And nothing is said about another one."""
    sim = new_sim("auto")
    ball_in(new_env(sim))
    GYM.prepare_sim(sim)
    assert sim.engine == "fused"
    assert "instead" not in capsys.readouterr().err


def empty(sim):
    """Adds an environment with a ball and slides, and one without anything."""
    env = new_env(sim)
    ball_in(env)
    GYM.create_actor(env, slides(sim), at(x=5.0, z=2.0), "slides", 0, 0)
    new_env(sim)


def slides(sim):
    """Returns an asset with joints."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "slides.xml").write_text(SLIDES)
        return GYM.load_asset(sim, folder, "slides.xml", gymapi.AssetOptions())


def rough(sim):
    """Adds two environments at different places of a terrain, which is 0.1 m high."""
    params = gymapi.HeightFieldParams()
    params.nbRows, params.nbColumns = 20, 20
    params.row_scale, params.column_scale, params.vertical_scale = 1.0, 1.0, 0.1
    params.transform.p = gymapi.Vec3(-5, -5, 0)
    GYM.add_heightfield(sim, np.ones((20, 20), np.int16), params)
    for _ in range(2):
        ball_in(new_env(sim))


def roped(sim):
    """Adds two environments with a ball and slides, whose tendons differ in their offsets."""
    asset = slides(sim)
    for offset in (0.1, 0.2):
        env = new_env(sim)
        ball_in(env)
        GYM.create_actor(env, asset, at(x=5.0, z=2.0), "slides", 0, 0)
        GYM.set_actor_tendon_offset(env, 1, 0, offset)


@pytest.mark.parametrize("add", [empty, rough, roped])
def test_another_scene_is_on_mujoco_and_it_is_said_once(add, capsys):
    """Notes of a gym are printed once, so this one is new; the ball falls as it should."""
    GYM.notes._printed.clear()
    sim = new_sim("auto")
    add(sim)
    GYM.prepare_sim(sim)
    assert sim.engine == "mujoco"
    said = [line for line in capsys.readouterr().err.splitlines() if "fused" in line]
    assert len(said) == 1
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 10)
    close(roots[0, 9], -0.981, rtol=1e-4)
    assert len(sim.world.groups) == (2 if add is empty else 1)


def test_tendons_of_other_stiffness_share_a_model_of_the_faster_engine():
    """Their springs are actuators there, whose gains differ between worlds."""
    sim = new_sim("auto")
    asset = slides(sim)
    for stiffness in (1.0, 2.0):
        env = new_env(sim)
        GYM.create_actor(env, asset, at(), "slides", 0, 0)
        tendons = GYM.get_actor_tendon_properties(env, 0)
        tendons[0].stiffness = stiffness
        GYM.set_actor_tendon_properties(env, 0, tendons)
    GYM.prepare_sim(sim)
    assert sim.engine == "fused"
    assert len(sim.world.groups) == 1


def test_an_engine_that_is_named_takes_the_scene_or_refuses_it():
    """No other engine takes its place."""
    sim = new_sim("mujoco")
    ball_in(new_env(sim))
    GYM.prepare_sim(sim)
    assert sim.engine == "mujoco"
    sim = new_sim("fused")
    empty(sim)
    with pytest.raises(UnsupportedModel):
        GYM.prepare_sim(sim)


def test_the_fused_engine_takes_an_environment_without_anything():
    """It is a world of the other's model, whose ball it parks."""
    sim = new_sim("auto")
    new_env(sim)
    ball_in(new_env(sim))
    GYM.prepare_sim(sim)
    assert (sim.engine, len(sim.world.groups)) == ("fused", 1)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 10)
    assert len(roots) == 1
    close(roots[0, 9], -0.981, rtol=1e-4)


@pytest.fixture
def sharing_masses(monkeypatch):
    """Lets the worlds of the fused engine share masses."""
    able = FusedWorlds.capabilities
    fields = able.varying_fields - {"body_mass"}
    changed = able._replace(varying_fields=fields)
    monkeypatch.setattr(FusedWorlds, "capabilities", changed)


def unequal(sim):
    """Adds two environments with a ball, of different masses."""
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    for mass in (1.0, 2.0):
        env = new_env(sim)
        GYM.create_actor(env, ball, at(z=0.5), "ball", 0, 0)
        bodies = GYM.get_actor_rigid_body_properties(env, 0)
        bodies[0].mass = mass
        GYM.set_actor_rigid_body_properties(env, 0, bodies)


def test_fields_that_worlds_share_are_named(sharing_masses, capsys):
    """In the refusal of an engine that the user named, and in the note on another one."""
    sim = new_sim("fused")
    unequal(sim)
    with pytest.raises(UnsupportedVariation) as caught:
        GYM.prepare_sim(sim)
    assert caught.value.fields == ("body_mass",)
    GYM.notes._printed.clear()
    sim = new_sim("auto")
    unequal(sim)
    GYM.prepare_sim(sim)
    assert sim.engine == "mujoco"
    assert caught.value.reasons[0] in capsys.readouterr().err


def test_other_refusals_name_no_other_engine(monkeypatch):
    """A scene that no engine takes is refused at once."""

    def refuse(_sim, _kinds):
        raise NotImplementedError

    monkeypatch.setattr(engines, "World", refuse)
    sim = new_sim("auto")
    ball_in(new_env(sim))
    with pytest.raises(NotImplementedError):
        GYM.prepare_sim(sim)
    assert sim.engine == "fused"


def test_mujoco_takes_over_where_nothing_is_compiled(tmp_path):
    """In a process whose extension cannot be imported."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "sys.modules['rlgpu._C'] = None\n"
        "import rlgpu.isaacgym as here\n"
        "gym = here.install()\n"
        "from isaacgym import gymapi\n"
        "sim = gym.create_sim(0, 0, gymapi.SIM_PHYSX, gymapi.SimParams())\n"
        "env = gym.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 1)\n"
        "ball = gym.create_sphere(sim, 0.1, gymapi.AssetOptions())\n"
        "gym.create_actor(env, ball, gymapi.Transform(), 'ball', 0, 0)\n"
        "gym.prepare_sim(sim)\n"
        "print(sim.engine)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["mujoco"], done.stderr
