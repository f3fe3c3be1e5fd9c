"""Small scenes for the tests of Isaac Gym's API."""

from __future__ import annotations

import numpy as np
import torch

from rlgpu.isaacgym.api import gymapi, gymtorch
from rlgpu.isaacgym.runner.settings import Settings

GYM = gymapi.acquire_gym()


def new_sim(
    engine: str, *, dt=0.01, substeps=1, gravity=(0.0, 0.0, -9.81), ground=False, num_threads=0
):
    """Returns a simulation on an engine, on the CPU."""
    GYM.settings = Settings(engine=engine, num_threads=num_threads)
    params = gymapi.SimParams()
    params.dt, params.substeps, params.up_axis = dt, substeps, gymapi.UP_AXIS_Z
    params.gravity = gymapi.Vec3(*gravity)
    sim = GYM.create_sim(0, 0, gymapi.SIM_PHYSX, params)
    if ground:
        plane = gymapi.PlaneParams()
        plane.normal = gymapi.Vec3(0, 0, 1)
        GYM.add_ground(sim, plane)
    return sim


def new_env(sim):
    """Returns a new environment."""
    return GYM.create_env(sim, gymapi.Vec3(-1, -1, 0), gymapi.Vec3(1, 1, 1), 4)


def at(x=0.0, y=0.0, z=0.0, quat=None):
    """Returns a pose."""
    return gymapi.Transform(gymapi.Vec3(x, y, z), quat or gymapi.Quat())


def wrapped(tensor):
    """Returns the torch tensor of a descriptor."""
    return gymtorch.wrap_tensor(tensor)


def unwrap(values):
    """Returns a descriptor of values."""
    return gymtorch.unwrap_tensor(values)


def ids(*numbers):
    """Returns a descriptor of actor indices."""
    return gymtorch.unwrap_tensor(torch.tensor(numbers, dtype=torch.int32))


def urdf(tmp_path, text, name="robot.urdf"):
    """Writes a URDF file and returns its folder and name."""
    (tmp_path / name).write_text(f'<robot name="r">{text}</robot>')
    return str(tmp_path), name


def link(name, mass=1.0, com=(0, 0, 0), inertia=(0.1, 0.1, 0.1), shape=""):
    """Returns a URDF link."""
    ixx, iyy, izz = inertia
    return f"""<link name="{name}"><inertial><origin xyz="{com[0]} {com[1]} {com[2]}"/>
        <mass value="{mass}"/><inertia ixx="{ixx}" iyy="{iyy}" izz="{izz}" ixy="0" ixz="0" iyz="0"/>
        </inertial>{shape}</link>"""


def joint(name, parent, child, kind="revolute", axis="0 1 0", xyz="0 0 0", more=""):
    """Returns a URDF joint."""
    limit = '<limit lower="-10" upper="10" effort="1000" velocity="1000"/>'
    return f"""<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>
        <origin xyz="{xyz}"/><axis xyz="{axis}"/>{more or limit}</joint>"""


PENDULUM = (
    link("base") + link("arm", 2.0, (0, 0, -0.5), (0.5, 0.5, 0.1)) + joint("hinge", "base", "arm")
)
"""A fixed base with an arm of 2 kg, its centre 0.5 m below a hinge about y; I = 0.5 + 2 * 0.25."""


def add_steps(sim, count):
    """Adds a terrain of steps 2 m long and 0.1 m high, which rise along x from -1 m on."""
    params = gymapi.HeightFieldParams()
    params.nbRows, params.nbColumns = 4 * count + 1, 5
    params.row_scale, params.column_scale, params.vertical_scale = 0.5, 1.0, 0.1
    params.transform.p = gymapi.Vec3(-1, -2, 0)
    samples = np.repeat(np.arange(params.nbRows)[:, None] // 4, 5, axis=1).astype(np.int16)
    GYM.add_heightfield(sim, samples, params)


def run(sim, steps):
    """Simulates a number of steps."""
    for _ in range(steps):
        GYM.simulate(sim)


def close(actual, expected, **tolerance):
    """Asserts that numbers agree."""
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), **tolerance)
