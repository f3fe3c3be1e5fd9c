"""Tells what a task finds in a robot's file, what looks wrong with it, and draws it.

    rlgpu robot FILE [picture=robot.png] [task.robot.KEY=VALUE ...]

FILE is an MJCF or URDF file of a robot whose base floats. What is printed is what
`task=Walk robot=FILE` writes to a run's configuration, where every value can be changed. The
picture shows the robot in its default pose, with its feet marked in red. The exit code is 2 if no
task can use the file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from rlgpu.config import ROBOT, compose, read_words
from rlgpu.errors import Unavailable, UsageError


def run(words: list[str]) -> int:
    """Prints what is found; returns the exit code, 0.

    Raises:
        UsageError: There is no such file, or it is not of a robot that walks.
    """
    named = [word for word in words if "=" not in word]
    given = read_words([word for word in words if "=" in word])
    if file := given.pop(ROBOT, ""):
        named.append(file)
    own = [f"{key}={value}" for key, value in given.items() if key.startswith("task.robot.")]
    if len(named) != 1 or len(given) > len(own) + ("picture" in given):
        said = "usage: rlgpu robot FILE [picture=robot.png] [task.robot.KEY=VALUE ...]"
        raise UsageError(said, key="robot", value=tuple(words))
    wanted = Path(given.get("picture") or "robot.png")
    unavailable = ""
    try:
        from rlgpu.playing import require_video  # noqa: PLC0415

        require_video()  # before MuJoCo is imported, which is when it chooses how to draw
    except Unavailable as error:
        unavailable = str(error)

    from rlgpu.robots.floating import read_floating  # noqa: PLC0415
    from rlgpu.robots.survey.faults import faults_of  # noqa: PLC0415
    from rlgpu.sim import ENGINES  # noqa: PLC0415

    words = ["task=Walk", f"robot={named[0]}", "sim=mujoco", *own]
    settings = compose(words, import_module("rlgpu.tasks").TASKS, ENGINES).config.task.robot
    robot = read_floating(Path(settings.file))
    _describe(settings, robot)
    faults = faults_of(robot, settings)
    print("\nWhat looks wrong, or is worth knowing:" if faults else "\nNothing looks wrong.")
    for said in faults:
        print(f"- {said}")
    if unavailable:
        print(f"\nno picture: {unavailable}")
    else:
        _draw(settings, wanted)
        print(f"\nwrote {wanted}: the default pose, feet marked in red")
    return 0


def _describe(settings: Any, robot: Any) -> None:
    """Prints the robot: its base, feet and joints."""
    from rlgpu.robots.survey.stance import Stance  # noqa: PLC0415

    stance = Stance(robot.spec, robot.base)
    model, sources = stance.model, settings.sources
    mass = float(model.body_subtreemass[stance.base_id])
    print(f"{settings.file}: {mass:.3g} kg, {len(settings.joints)} driven joints")
    print(f"base           {settings.base}, {settings.base_height:g} m above the ground")
    print(f"default pose   {sources['default_joint_pos']}")
    print(f"feet           {', '.join(settings.feet)}")
    print(f"failing bodies {', '.join(settings.failing_bodies)}")
    for name in ("joints", "effort_limit", "armature", "stiffness", "action_scale"):
        print(f"{name:14s} from: {sources[name]}")
    width = max(map(len, [*settings.joints, "joint"]))
    heads = ("default", "low", "high", "effort", "armature", "stiffness", "damping", "scale")
    print(f"\n{'joint':{width}s} {' '.join(f'{head:>9s}' for head in heads)}  mirror image")
    for name in settings.joints:
        joint = stance.joints[name]
        limited = bool(model.jnt_limited[joint])
        low, high = model.jnt_range[joint] if limited else (float("-inf"), float("inf"))
        by_joint = ("effort_limit", "armature", "stiffness", "damping", "action_scale")
        row = [settings.default_joint_pos[name], low, high]
        row += [getattr(settings, key)[name] for key in by_joint]
        numbers = " ".join(f"{value:9.4g}" for value in row)
        print(f"{name:{width}s} {numbers}  {settings.mirror.get(name, '')}")


def _draw(settings: Any, path: Path) -> None:
    """Writes a picture of the robot in its default pose, seen from the side and ahead."""
    import mujoco  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from rlgpu.envs import Mark  # noqa: PLC0415
    from rlgpu.playing.picture import add_marks  # noqa: PLC0415
    from rlgpu.playing.video import renderer_of, write_picture  # noqa: PLC0415
    from rlgpu.robots.survey import RobotAsset  # noqa: PLC0415

    height = settings.base_height
    asset = RobotAsset(Path(settings.file), settings.armature, height=height)
    model = asset.spec().compile()
    data = mujoco.MjData(model)
    for name, value in settings.default_joint_pos.items():
        data.qpos[model.jnt_qposadr[model.joint(name).id]] = value
    mujoco.mj_forward(model, data)
    camera = mujoco.MjvCamera()
    shapes = data.geom_xpos[model.geom_bodyid > 0]
    low, high = shapes.min(0), shapes.max(0)
    camera.lookat[:] = 0.5 * (low + high)
    camera.distance = 1.2 * float(np.linalg.norm(high - low)) + 2.0 * height
    camera.azimuth, camera.elevation = 130.0, -15.0
    marks = []
    for body, point in settings.feet.items():
        foot = model.body(body).id
        at = data.xpos[foot] + data.xmat[foot].reshape(3, 3) @ point
        marks.append(Mark(tuple(at.tolist()), size=0.06 * height))
    with renderer_of(model) as renderer:
        renderer.update_scene(data, camera)
        add_marks(renderer.scene, marks, (0.0, 0.0))
        write_picture(renderer.render(), path)
