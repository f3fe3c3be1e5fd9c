"""Models for tests of the fused engine: the tasks', and random robots inside its coverage."""

from __future__ import annotations

import random

import mujoco

from rlgpu.config import compose
from rlgpu.sim import ENGINES
from rlgpu.sim.mujoco.model import build_model
from rlgpu.tasks import TASKS
from tests.task_words import task_words

_OPTION = '<option integrator="implicitfast" timestep="{timestep}" {gravity}/>'


def task_model(name: str) -> mujoco.MjModel:
    """Returns the compiled model of a task."""
    config = compose(task_words(name), TASKS, ENGINES).config
    return build_model(TASKS[name](config.task).scene(), config.task.timing())


def random_robot(rng: random.Random) -> str:
    """Returns the MJCF of a random robot above a plane, perhaps with a free body beside it.

    Joints of all kinds with offsets, springs, dampers, limits, margins and dry friction;
    spheres, capsules and boxes on the ground; limbs that touch each other; motors and position
    drives with clamped forces; tilted bodies, several joints per body, static bodies between.
    """
    bodies = rng.randint(2, 7)
    parents = [rng.randrange(-1, i) if i > 0 else -1 for i in range(bodies)]
    joints: list[str] = []
    tilt = rng.choice([0, 0, 0, 5, 20])
    ground = f'<geom type="plane" size="9 9 1" euler="{tilt} 0 0" contype="1" conaffinity="0"/>'
    floating = rng.random() < 0.6
    tree = _body(rng, 0, parents, joints, floating)
    extra = ""
    if rng.random() < 0.4:
        extra = f"""<body name="free" pos="0.6 0.1 {rng.uniform(0.2, 0.5)}">
          <freejoint/>{_geom(rng, collide=True)}</body>"""
    drives = "".join(_drive(rng, joint) for joint in joints if rng.random() < 0.7)
    option = _OPTION.format(
        timestep=rng.choice([0.002, 0.005, 0.008]),
        gravity='gravity="0.5 0 -9.81"' if rng.random() < 0.5 else 'impratio="3"',
    )
    return f"""<mujoco><compiler autolimits="true"/>{option}<worldbody>{ground}{tree}{extra}
      </worldbody><actuator>{drives}</actuator></mujoco>"""


def _body(rng: random.Random, i: int, parents: list[int], joints: list[str], floating: bool) -> str:
    children = [
        j for j, parent in enumerate(parents) if (parent == i or (parent < 0 < j and i == 0))
    ]
    place = _vector(rng, 0.25) if i > 0 else f"0 0 {rng.uniform(0.3, 0.6)}"
    turn = f'quat="{_quat(rng)}"' if rng.random() < 0.5 else ""
    spring = f'stiffness="{rng.uniform(0.5, 5)}"' if rng.random() < 0.2 else ""
    free = f'<joint type="free" {spring}/>'
    inside = free if i == 0 and floating else _joints(rng, i, joints)
    geoms = "".join(_geom(rng, collide=rng.random() < 0.7) for _ in range(rng.randint(1, 2)))
    deeper = "".join(_body(rng, j, parents, joints, floating) for j in children if j > i)
    return f'<body name="b{i}" pos="{place}" {turn}>{inside}{geoms}{deeper}</body>'


def _joints(rng: random.Random, i: int, joints: list[str]) -> str:
    count = rng.choice([0, 1, 1, 1, 2, 3])
    text = ""
    for k in range(count):
        name = f"j{i}_{k}"
        joints.append(name)
        kind = rng.choice(["hinge", "hinge", "hinge", "slide"])
        options = [f'armature="{rng.uniform(0.005, 0.05)}"']
        if rng.random() < 0.5:
            options.append(f'pos="{_vector(rng, 0.05)}"')
        if rng.random() < 0.5:
            options.append(f'damping="{rng.uniform(0.05, 0.5)}"')
        if rng.random() < 0.4:
            options.append(f'stiffness="{rng.uniform(0.5, 5)}" springref="{rng.uniform(-20, 20)}"')
        if rng.random() < 0.6:
            low, high = (-30, 30) if kind == "hinge" else (-0.1, 0.1)
            options.append(f'range="{low} {high}"')
            if rng.random() < 0.3:
                options.append('margin="0.01" solreflimit="0.03 0.8"')
            if rng.random() < 0.3:
                options.append('solimplimit="0.8 0.97 0.01 0.3 2"')
        if rng.random() < 0.3:
            options.append(f'frictionloss="{rng.uniform(0.02, 0.3)}"')
        if rng.random() < 0.2:
            options.append('actuatorfrcrange="-1 1"')
        text += f'<joint name="{name}" type="{kind}" axis="{_vector(rng, 1)}" {" ".join(options)}/>'
    return text + (_ball(rng, i, joints) if rng.random() < 0.15 else "")


def _ball(rng: random.Random, i: int, joints: list[str]) -> str:
    joints.append(f"ball{i}")
    options = [f'armature="{rng.uniform(0.005, 0.05)}"']
    for chance, option in (
        (0.5, f'pos="{_vector(rng, 0.05)}"'),
        (0.5, f'damping="{rng.uniform(0.05, 0.5)}"'),
        (0.4, f'stiffness="{rng.uniform(0.5, 5)}"'),
        (0.6, f'range="0 {rng.uniform(10, 170)}"'),
        (0.3, 'margin="0.01" solreflimit="0.03 0.8"'),
        (0.3, f'frictionloss="{rng.uniform(0.02, 0.3)}"'),
    ):
        if rng.random() < chance:
            options.append(option)
    return f'<joint name="ball{i}" type="ball" {" ".join(options)}/>'


def _geom(rng: random.Random, *, collide: bool) -> str:
    kind = rng.choice(["sphere", "capsule", "capsule", "box"])
    # Boxes meet the ground alone; spheres and capsules meet it and each other.
    bits = (
        'contype="0" conaffinity="0"'
        if not collide
        else ('contype="0" conaffinity="1"' if kind == "box" else 'contype="2" conaffinity="3"')
    )
    size = {
        "sphere": f"{rng.uniform(0.04, 0.1)}",
        "capsule": f"{rng.uniform(0.03, 0.06)} {rng.uniform(0.05, 0.15)}",
        "box": " ".join(f"{rng.uniform(0.04, 0.1)}" for _ in range(3)),
    }[kind]
    options = [f'friction="{rng.uniform(0.3, 1.5)} 0.005 0.0001"']
    if rng.random() < 0.2:
        options.append('condim="1"')
    if rng.random() < 0.2:
        options.append('priority="1" solref="-900 -30"')
    if rng.random() < 0.2:
        options.append('margin="0.01" solimp="0.8 0.98 0.02"')
    return (
        f'<geom type="{kind}" size="{size}" pos="{_vector(rng, 0.08)}" quat="{_quat(rng)}" '
        f'density="{rng.uniform(300, 900)}" {bits} {" ".join(options)}/>'
    )


def _drive(rng: random.Random, joint: str) -> str:
    limit = 'forcerange="-2 2"' if rng.random() < 0.5 else ""
    where = "jointinparent" if rng.random() < 0.2 else "joint"
    if rng.random() < 0.5:
        gear = _vector(rng, 2) if joint.startswith("ball") else f"{rng.uniform(-2, 2)}"
        return f'<motor {where}="{joint}" gear="{gear}" ctrlrange="-1 1" {limit}/>'
    kp, kv = rng.uniform(1, 10), rng.uniform(0, 0.5)
    return f'<position {where}="{joint}" kp="{kp}" kv="{kv}" {limit}/>'


def _vector(rng: random.Random, scale: float) -> str:
    return " ".join(f"{rng.uniform(-scale, scale):.4f}" for _ in range(3))


def _quat(rng: random.Random) -> str:
    return f"{rng.uniform(0.1, 1):.4f} {_vector(rng, 1)}"
