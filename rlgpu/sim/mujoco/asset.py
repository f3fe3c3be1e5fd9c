"""Reads a robot's file, and says what in it no engine takes in a task."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import mujoco

from rlgpu.errors import Reason, UnsupportedModel, list_some
from rlgpu.sim.scene import Asset


def read_asset(asset: Path | Asset) -> mujoco.MjSpec:
    """Returns an asset, checked for what a scene adds itself or cannot have.

    Raises:
        ValueError: It is missing or malformed, or a task cannot use it.
    """
    if not isinstance(asset, Path):
        spec: mujoco.MjSpec = asset.spec()
        return spec
    if not asset.is_file():
        beside = sorted(path.name for path in asset.parent.glob("*.xml"))
        raise ValueError(f"there is no asset {asset}; beside it are {', '.join(beside) or 'none'}")
    try:
        spec = mujoco.MjSpec.from_file(str(asset))
    except Exception as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{asset.name} is not a model that MuJoCo reads: {said}") from error
    for reason in task_refusals(spec, asset):
        raise UnsupportedModel(f"{asset.name} {reason}", [reason])
    return spec


def task_refusals(spec: mujoco.MjSpec, asset: Path) -> Iterator[Reason]:
    """Yields why a task cannot use an asset, whatever its engine: what it has, and what to do.

    Args:
        spec: The asset.
        asset: Its file.
    """
    if link := floating_link(asset):
        yield Reason(
            f"is a URDF whose base {link!r} MuJoCo would fix to the world; convert it to MJCF with "
            "<freejoint/> in its base and a plane, or attach a base that is fixed to a link named "
            "'world' by a fixed joint",
            "floating_base",
        )
    if names := [actuator.name or actuator.target for actuator in spec.actuators]:
        yield Reason(
            f"has actuators of its own ({list_some(names)}); remove them: the drives of the task's "
            "scene are its actuators",
            "actuators",
        )
    if balls := [j.name for j in spec.joints if j.type == mujoco.mjtJoint.mjJNT_BALL]:
        said = f"has ball joints ({list_some(balls)}); use three hinges instead of each"
        yield Reason(said, "ball_joints")
    if len(spec.bodies) < 2:
        yield Reason("has no body besides the world; a robot needs one", "no_body")


def floating_link(asset: Path) -> str:
    """Returns the root link of a URDF that does not say how it is attached, else an empty string.

    URDF leaves it to the program whether a root link floats; MuJoCo welds it to the world. A root
    link named ``world`` says that what follows is attached, as its joint says.
    """
    try:
        root = ET.parse(asset).getroot()
    except (ET.ParseError, OSError):
        return ""
    if root.tag != "robot":
        return ""
    children = {child.get("link") for child in root.findall("joint/child")}
    names = [link.get("name", "") for link in root.findall("link")]
    bases = [name for name in names if name not in children]
    return next((name for name in bases if name != "world"), "")
