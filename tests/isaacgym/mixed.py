"""Scenes whose environments hold different actors: two robots and five kinds of objects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scenes import GYM, at, ids, joint, link, new_env, new_sim, unwrap, urdf, wrapped

from rlgpu.isaacgym.api import gymapi

ARM = (
    link("base")
    + link("upper", 2.0, (0, 0, -0.2), (0.05, 0.05, 0.01))
    + link("lower", 1.0, (0, 0, -0.2), (0.02, 0.02, 0.01))
    + joint("shoulder", "base", "upper")
    + joint("elbow", "upper", "lower", axis="1 0 0", xyz="0 0 -0.4")
)
CRAWLER = """<mujoco><worldbody><body name="torso"><freejoint/><geom type="sphere" size="0.15"/>
<body name="left" pos="0 0.2 0"><joint name="left" axis="1 0 0" range="-40 40" limited="true"/>
<geom type="capsule" fromto="0 0 0 0 0.3 -0.1" size="0.05"/></body>
<body name="right" pos="0 -0.2 0"><joint name="right" axis="1 0 0" range="-40 40" limited="true"/>
<geom type="capsule" fromto="0 0 0 0 -0.3 -0.1" size="0.05"/></body></body></worldbody></mujoco>"""
DUMBBELL = """<mujoco><worldbody><body name="bar"><freejoint/>
<geom type="capsule" fromto="-0.1 0 0 0.1 0 0" size="0.02"/>
<geom type="sphere" size="0.06" pos="0.1 0 0"/>
<geom type="sphere" size="0.06" pos="-0.1 0 0"/></body></worldbody></mujoco>"""
ROBOTS = ("arm", "crawler")
OBJECTS = ("box", "ball", "pill", "dumbbell", "large dumbbell")
TENSORS = ("actor_root_state", "dof_state", "rigid_body_state", "net_contact_force", "dof_force")


def contents(index):
    """Returns what an environment holds: a robot and some of five objects, all different."""
    chosen = [name for bit, name in enumerate(OBJECTS) if (index // 2 + 1) >> bit & 1]
    return (ROBOTS[index % 2], *chosen)


class Scene(NamedTuple):
    """A simulation, its environments and its tensors by name."""

    sim: gymapi.Sim
    envs: list
    tensors: dict


def load(sim, folder):
    """Returns the assets by name."""
    folder.mkdir(exist_ok=True)
    (folder / "crawler.xml").write_text(CRAWLER)
    (folder / "dumbbell.xml").write_text(DUMBBELL)
    free, fixed = gymapi.AssetOptions(), gymapi.AssetOptions()
    fixed.fix_base_link = True
    assets = {
        "arm": GYM.load_asset(sim, *urdf(folder, ARM), fixed),
        "crawler": GYM.load_asset(sim, str(folder), "crawler.xml", free),
        "box": GYM.create_box(sim, 0.2, 0.1, 0.1, free),
        "ball": GYM.create_sphere(sim, 0.1, free),
        "pill": GYM.create_capsule(sim, 0.05, 0.1, free),
        "dumbbell": GYM.load_asset(sim, str(folder), "dumbbell.xml", free),
    }
    assets["large dumbbell"] = assets["dumbbell"]
    for body in (1, 2):
        GYM.create_asset_force_sensor(assets["crawler"], body, at())
    return assets


def build(engine, folder, environments, num_threads=0):
    """Returns a scene of environments, each a list of names of assets."""
    sim = new_sim(engine, dt=0.01, substeps=2, ground=True, num_threads=num_threads)
    assets, envs = load(sim, folder), []
    for index, names in enumerate(environments):
        env = new_env(sim)
        envs.append(env)
        for place, name in enumerate(names):
            pose = at(x=0.25 * place, z=0.9 if name == "arm" else 0.25 + 0.1 * place)
            handle = GYM.create_actor(env, assets[name], pose, name, index, 0)
            GYM.enable_actor_dof_force_sensors(env, handle)
            if name == "large dumbbell":
                GYM.set_actor_scale(env, handle, 1.5)
            if name == "arm":
                drive(env, handle)
    GYM.prepare_sim(sim)
    held = {name: wrapped(getattr(GYM, f"acquire_{name}_tensor")(sim)) for name in TENSORS}
    sensors = GYM.acquire_force_sensor_tensor(sim)
    if sensors is not None:
        held["force_sensor"] = wrapped(sensors)
    return Scene(sim, envs, held)


def drive(env, handle):
    """Gives an arm stiff, limited drives: the kind that switches between two actuators."""
    properties = GYM.get_actor_dof_properties(env, handle)
    properties["driveMode"] = gymapi.DOF_MODE_POS
    properties["stiffness"], properties["damping"] = 4e4, 200.0
    properties["effort"], properties["velocity"] = 30.0, 8.0
    GYM.set_actor_dof_properties(env, handle, properties)


def counts(env):
    """Returns the numbers of an environment's actors, DOFs, bodies and force sensors."""
    actors = range(GYM.get_actor_count(env))
    sensors = sum(GYM.get_actor_force_sensor_count(env, handle) for handle in actors)
    bodies = GYM.get_env_rigid_body_count(env)
    dofs = GYM.get_env_dof_count(env)
    numbers = len(actors), dofs, bodies, bodies, dofs, sensors
    return dict(zip((*TENSORS, "force_sensor"), numbers, strict=True))


def parts(scene, name, tensor=None):
    """Returns each environment's part of a flat tensor."""
    tensor = scene.tensors[name] if tensor is None else tensor
    return list(tensor.split([counts(env)[name] for env in scene.envs]))


def values(seed, *shape):
    """Returns numbers between -1 and 1 that depend on the seed alone."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, shape)).float()


def per_env(scene, name, numbers, seed, width=None):
    """Returns a flat tensor with numbers that depend on an environment's number alone."""
    rows = [counts(env)[name] for env in scene.envs]
    shapes = [(row,) if width is None else (row, width) for row in rows]
    return torch.cat([values((seed, n), *s) for n, s in zip(numbers, shapes, strict=True)])


def play(scene, numbers, steps=30):
    """Drives, pushes and resets environments by their numbers; returns all tensors of each step."""
    sim, history = scene.sim, []
    root, dof = scene.tensors["actor_root_state"], scene.tensors["dof_state"]
    start = root.clone()
    for step in range(steps):
        targets = per_env(scene, "dof_state", numbers, 3 * step)
        GYM.set_dof_position_target_tensor(sim, unwrap(targets))
        efforts = 5 * per_env(scene, "dof_state", numbers, 3 * step + 1)
        GYM.set_dof_actuation_force_tensor(sim, unwrap(efforts))
        if step % 5 == 0:
            force = 20 * per_env(scene, "rigid_body_state", numbers, 3 * step + 2, 3)
            space = (gymapi.ENV_SPACE, gymapi.LOCAL_SPACE)[step % 2]
            GYM.apply_rigid_body_force_tensors(sim, unwrap(force), unwrap(0.1 * force), space)
        if step == steps // 2:
            reset(scene, numbers, start, root, dof)
        GYM.simulate(sim)
        history.append({name: tensor.clone() for name, tensor in scene.tensors.items()})
    return history


def reset(scene, numbers, start, root, dof):
    """Resets every actor of environments with a number divisible by 3, by indices."""
    first, chosen = 0, []
    for number, env in zip(numbers, scene.envs, strict=True):
        own = list(range(first, first + GYM.get_actor_count(env)))
        chosen += own if number % 3 == 0 else []
        first = own[-1] + 1
    if not chosen:
        return
    root.copy_(start)
    dof.zero_()
    index = ids(*chosen)
    GYM.set_actor_root_state_tensor_indexed(scene.sim, unwrap(root), index, len(chosen))
    GYM.set_dof_state_tensor_indexed(scene.sim, unwrap(dof), index, len(chosen))
