"""Motion of robots whose parameters were drawn, against MuJoCo C and worked by hand."""

from __future__ import annotations

import copy

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.envs import VecEnv
from rlgpu.envs.randomization_config import Varied
from tests.envs.randomized import ENGINE_NAMES, make_env, reset
from tests.tasks.placing import place


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_robots_fall_as_the_gravity_drawn_at_their_reset_says(engine) -> None:
    """Measured by the speed after a step in the air; a robot that is not reset keeps its own."""

    def fall() -> torch.Tensor:
        """Returns the change of the vertical speed over a control step [m/s], shape [N]."""
        place(env, joint_pos=env.task._default.tolist(), root_pos_w=[0.0, 0.0, 5.0])
        env.sim.set_targets(env.task._default.expand(4, 12))
        env.sim.step()
        env.sim.refresh()
        return env.sim.state.root_lin_vel_w[:, 2].clone()

    env = make_env(engine=engine, gravity=Varied(range=[-4.0, 4.0]))
    before = fall()
    torch.testing.assert_close(
        before, 0.02 * env.sim.parameters["gravity"][:, 2], atol=1e-3, rtol=0.0
    )
    assert before.std() > 0.01
    env._randomizer.advance()
    reset(env, 1, 3)
    after = fall()
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]], atol=1e-5, rtol=0.0)
    assert (after[[1, 3]] - before[[1, 3]]).abs().min() > 2e-3


def change(model: mujoco.MjModel, key: str, value: float) -> None:
    """Adds a value to a parameter of a model, as MuJoCo's documentation describes the fields."""
    if key == "mass":
        ratio = (model.body_mass[1:] + value) / model.body_mass[1:]
        model.body_inertia[1:] *= ratio[:, None]
        model.body_mass[1:] += value
    elif key == "center_of_mass":
        model.body_ipos[1:] += value
    elif key == "friction":
        model.geom_friction[:, 0] += value
    elif key == "stiffness":
        model.actuator_gainprm[:, 0] += value
        model.actuator_biasprm[:, 1] -= value
    elif key == "damping":
        model.actuator_biasprm[:, 2] -= value
    elif key == "joint_damping":
        model.dof_damping[6:] += value
    elif key == "armature":
        model.dof_armature[6:] += value
    else:
        model.opt.gravity += value
    mujoco.mj_setConst(model, mujoco.MjData(model))


def moved_by_mujoco(model: mujoco.MjModel, env: VecEnv, height: float) -> np.ndarray:
    """Returns the velocities after a control step of MuJoCo C alone, from the same state."""
    data = mujoco.MjData(model)
    joint_pos = env.task._default.numpy()
    data.qpos[:] = [0.0, 0.0, height, 1.0, 0.0, 0.0, 0.0, *joint_pos]
    data.qvel[:3] = [1.0, -0.5, 0.2]
    data.qvel[6:] = 1.0
    data.ctrl[:] = joint_pos + 0.1
    mujoco.mj_step(model, data, nstep=env.task.config.decimation)
    return np.concatenate((data.qvel[:3], data.qvel[6:]))


@pytest.mark.parametrize("engine", ENGINE_NAMES)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mass", 0.5),
        ("center_of_mass", 0.01),
        ("friction", -0.5),
        ("stiffness", 3.0),
        ("damping", 0.1),
        ("joint_damping", 0.2),
        ("armature", 0.01),
        ("gravity", 3.0),
    ],
)
def test_every_parameter_acts_as_in_a_model_that_has_its_value(engine, key, value) -> None:
    """A step of an engine whose parameter was drawn, against MuJoCo C with that parameter."""
    env = make_env(n=2, engine=engine, **{key: Varied(range=[value, value])})
    height = 0.28  # feet that slide in the ground
    place(
        env,
        joint_pos=env.task._default.tolist(),
        joint_vel=[1.0] * 12,
        root_pos_w=[0.0, 0.0, height],
        root_lin_vel_w=[1.0, -0.5, 0.2],
        root_quat_w=[0.0, 0.0, 0.0, 1.0],
    )
    env.sim.set_targets((env.task._default + 0.1).expand(2, 12))
    env.sim.step()
    env.sim.refresh()
    state = env.sim.state
    found = torch.cat((state.root_lin_vel_w, state.joint_vel), dim=-1).double().numpy()
    model = copy.deepcopy(env.sim.worlds.model)
    original = moved_by_mujoco(model, env, height)
    change(model, key, value)
    wanted = moved_by_mujoco(model, env, height)
    largest = np.abs(wanted - original).max()
    assert largest > 0.02
    np.testing.assert_allclose(found, np.stack([wanted] * 2), atol=0.02 * largest, rtol=1e-3)
