"""The scene of a task around a robot from a file: ground, light and sky."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mujoco

from rlgpu.robots.floating import read_floating

_SKY = (0.93, 0.95, 0.97), (0.66, 0.74, 0.82)
_TILES = (0.86, 0.88, 0.9), (0.74, 0.77, 0.8)
_GROUND = "rlgpu_ground"
_GROUND_BIT = 1 << 20
"""Of ``contype``: what touches the ground; files use lower ones."""


@dataclass(frozen=True)
class RobotAsset:
    """A robot on the ground, from which engines build their models."""

    file: Path
    armature: Mapping[str, float]
    """Of joints, by name [kg m^2 or kg]."""
    self_collision: bool = False
    height: float = 0.5
    """Of the base above the ground, in the model's own pose [m]."""

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.file.name

    def spec(self) -> mujoco.MjSpec:
        """Returns the robot without actuators, in its surroundings, as a new specification.

        Raises:
            MalformedModel: The file cannot be read.
        """
        robot = read_floating(self.file)
        spec = robot.spec.copy()
        for name, value in self.armature.items():
            spec.joint(name).armature = value
        for geom in spec.geoms:
            touches = int((geom.contype | geom.conaffinity) != 0)
            if self.self_collision:
                geom.contype |= touches * _GROUND_BIT
            else:  # it touches the ground, not itself
                geom.contype, geom.conaffinity = touches * _GROUND_BIT, 0
        base = spec.body(robot.base)
        base.pos = [0, 0, self.height]
        _surround(spec, base, self.height)
        return spec


def _surround(spec: mujoco.MjSpec, base: mujoco.MjsBody, height: float) -> None:
    """Adds the ground, light, sky and a camera."""
    textures, builtins = mujoco.mjtTexture, mujoco.mjtBuiltin
    sky = spec.add_texture(name="rlgpu_sky", type=textures.mjTEXTURE_SKYBOX, width=32, height=192)
    sky.builtin, sky.rgb1, sky.rgb2 = builtins.mjBUILTIN_GRADIENT, *_SKY
    tiles = spec.add_texture(name=_GROUND, type=textures.mjTEXTURE_2D, width=128, height=128)
    tiles.builtin, tiles.rgb1, tiles.rgb2 = builtins.mjBUILTIN_CHECKER, *_TILES
    material = spec.add_material(name=_GROUND, texrepeat=[1, 1], texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = _GROUND
    ground = spec.worldbody.add_geom(
        name=_GROUND, type=mujoco.mjtGeom.mjGEOM_PLANE, size=[100, 100, 1], material=_GROUND
    )
    ground.contype, ground.conaffinity, ground.condim, ground.group = 0, _GROUND_BIT, 3, 0
    ground.friction, ground.rgba = [1.0, 0.005, 0.0001], [1, 1, 1, 1]
    light = spec.worldbody.add_light(pos=[0, 0, 4], dir=[0, 0, -1], diffuse=[0.5, 0.5, 0.5])
    light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 720
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.4] * 3, [0.5] * 3
    spec.stat.extent, spec.stat.center = 3.0 * height, [0, 0, height]
    if spec.camera("track") is None:
        away = [0.0, -5.0 * height, 1.5 * height]
        camera = base.add_camera(name="track", pos=away, xyaxes=[1, 0, 0, 0, 0.3, 1])
        camera.mode = mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM
