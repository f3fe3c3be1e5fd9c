"""Contacts between heavy and light bodies on the fused engine, in single precision.

Effective masses at a contact differ by up to 1e5. Forces are then so large that what they leave of
a sum has few digits, and hardening (csrc/kernels/physics/cone.h) takes many iterations.
"""

from __future__ import annotations

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.coverage import accept
from tests.sim.fused_steps import DOUBLE, SINGLE, fused_step, mujoco_step

SIZES = {"sphere": (1.0,), "capsule": (1.0, 1.5), "box": (1.0, 0.7, 1.3)}
MODELS, STATES = 120, 16


def joints(rng: np.random.Generator) -> str:
    """Returns a free joint, or one or two hinges and slides."""
    if rng.random() < 0.5:
        return "<freejoint/>"
    kinds = rng.choice(["hinge", "hinge", "slide"], rng.integers(1, 3))
    axes = (" ".join(f"{x:.3f}" for x in rng.normal(size=3)) for _ in kinds)
    return "".join(
        f'<joint type="{kind}" axis="{axis}" damping="{10 ** rng.uniform(-5, -2)}"/>'
        for kind, axis in zip(kinds, axes, strict=True)
    )


def body(rng: np.random.Generator) -> str:
    """Returns a body of 0.1 g to 30 kg in the ground, off its centre of mass, with a ball on it."""
    kind, size, aside = rng.choice(list(SIZES)), 10 ** rng.uniform(-2, -0.7), rng.normal()
    sizes = " ".join(f"{size * factor:.5f}" for factor in SIZES[kind])
    place = f"{rng.uniform(-0.1, 0.1):.4f} {rng.uniform(-0.1, 0.1):.4f} {size:.4f}"
    ball = 10 ** rng.uniform(-2, -1)
    return f"""<body pos="{place}" euler="{rng.uniform(0, 180)} {rng.uniform(0, 180)} 0">
      {joints(rng)}<geom type="{kind}" size="{sizes}" mass="{10 ** rng.uniform(-4, 1.5)}"
        pos="{size * aside:.4f} 0 0" condim="{rng.choice([1, 3, 3, 4, 6])}"
        friction="{10 ** rng.uniform(-1, 0.3):.3f} .01 .001"/>
      <body pos="{size:.4f} 0 0"><joint axis="0 {rng.integers(2)} 1"/><geom size="{ball}"
        mass="{10 ** rng.uniform(-4, 1)}" pos="{ball:.4f} 0 0"/></body></body>"""


def random_model(rng: np.random.Generator) -> mujoco.MjModel:
    """Returns two to four such bodies that overlap."""
    bodies = "".join(body(rng) for _ in range(rng.integers(2, 5)))
    return mujoco.MjModel.from_xml_string(f"""<mujoco><option integrator="implicitfast"
      timestep="{rng.choice([0.002, 0.005])}" cone="{rng.choice(["pyramidal", "elliptic"])}"
      iterations="300" tolerance="1e-15" impratio="{rng.choice([1, 10])}"/><worldbody>
      <geom type="plane" size="5 5 1"/>{bodies}</worldbody></mujoco>""")


def is_balanced(model: mujoco.MjModel) -> bool:
    """Whether a body turns almost about its centre of mass; MuJoCo's contacts are harder there."""
    reach = np.zeros(model.nbody)
    np.maximum.at(reach, model.geom_bodyid, model.geom_rbound)
    linear, angular = model.body_invweight0[1:].T
    return bool((linear < 0.1 * reach[1:] ** 2 * angular).any())


def random_states(model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions near the model's own, and velocities."""
    qpos = np.tile(model.qpos0, (STATES, 1))
    for row in qpos:
        mujoco.mj_integratePos(model, row, 0.3 * rng.normal(size=model.nv), 0.2)
    return qpos, 0.5 * rng.normal(size=(STATES, model.nv))


def test_velocities_of_light_bodies_keep_their_digits() -> None:
    """Relative to the largest change of a velocity in the step, over some thousand contacts."""
    rng = np.random.default_rng(0)
    double: list[float] = []
    single: list[float] = []
    for _ in range(MODELS):
        model = random_model(rng)
        if is_balanced(model):
            continue
        assert accept(model) == []
        qpos, qvel = random_states(model, rng)
        expected = mujoco_step(model, qpos, qvel)
        scale = 1 + np.abs(expected - qvel).max(axis=1)
        for errors, dtype in ((double, DOUBLE), (single, SINGLE)):
            found = fused_step(model, qpos, qvel, dtype)
            errors.extend(np.abs(found - expected).max(axis=1) / scale)
    assert len(double) > 400
    assert np.quantile(double, 0.99) < 1e-6
    assert np.median(single) < 2e-6
    assert np.quantile(single, 0.9) < 1.2e-4
    assert np.quantile(single, 0.99) < 4e-3
