"""Frames, sizes and inertia tensors of shapes and links."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

import mujoco
import numpy as np

from rlgpu.errors import MalformedModel

THIN = 1e-4
"""Least size of a shape [m]; some files have flat ones, which MuJoCo does not."""
_LEAST = 1e-8
"""Smallest moment of inertia [kg m^2]."""


@dataclass(frozen=True)
class Frame:
    """A position [m] and a rotation matrix."""

    pos: np.ndarray = field(default_factory=lambda: np.zeros(3))
    matrix: np.ndarray = field(default_factory=lambda: np.eye(3))

    def __matmul__(self, inner: Frame) -> Frame:
        return Frame(self.pos + self.matrix @ inner.pos, self.matrix @ inner.matrix)

    @property
    def quat(self) -> np.ndarray:
        """The rotation as a quaternion (w, x, y, z)."""
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, self.matrix.flatten())
        return quat


def word(element: ET.Element, name: str) -> str:
    """Returns an attribute.

    Raises:
        MalformedModel: It is missing.
    """
    if name not in element.attrib:
        said, called = f"{_called(element)} has no {name}", element.get("name", "")
        raise MalformedModel(said, "missing", element.tag, called, name)
    return element.attrib[name]


def number(element: ET.Element, name: str, default: float | None = None) -> float:
    """Returns the number of an attribute; ``default`` where it is missing.

    Raises:
        MalformedModel: It is no number, or is missing and has no default.
    """
    if default is None:
        word(element, name)
    return numbers(element, name, [0.0 if default is None else default])[0]


def numbers(element: ET.Element | None, name: str, default: list[float]) -> list[float]:
    """Returns the numbers of an attribute, as many as ``default`` has, which counts without it.

    Raises:
        MalformedModel: They are not that many numbers.
    """
    if element is None or name not in element.attrib:
        return list(default)
    text = element.attrib[name]
    try:
        values = [float(value) for value in text.split()]
    except ValueError:
        values = []
    if len(values) != len(default) or np.isnan(values).any():
        wanted = "a number" if len(default) == 1 else f"{len(default)} numbers"
        said = f"{_called(element)} has {name}={text!r}, which is not {wanted}"
        raise MalformedModel(said, "number", element.tag, name, text)
    return values


def _called(element: ET.Element) -> str:
    """Returns what an element is called in messages."""
    name = element.get("name")
    return f"<{element.tag}>" if name is None else f"<{element.tag} name={name!r}>"


def frame_of(element: ET.Element) -> Frame:
    """Returns the frame of an element's ``origin``: fixed-axis roll, pitch, yaw."""
    origin = element.find("origin")
    roll, pitch, yaw = numbers(origin, "rpy", [0, 0, 0])
    (sr, sp, sy), (cr, cp, cy) = np.sin([roll, pitch, yaw]), np.cos([roll, pitch, yaw])
    matrix = np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )
    return Frame(np.array(numbers(origin, "xyz", [0, 0, 0])), matrix)


def thickened(moments: np.ndarray) -> np.ndarray:
    """Returns principal moments of which none exceeds the sum of the others by rounding.

    MuJoCo's check has no tolerance; those of flat bodies just fulfil it.
    """
    moments = np.array(moments, dtype=float)
    least, _, most = np.argsort(moments)
    excess = 2 * moments[most] - moments.sum()
    if 0 < excess <= 1e-6 * moments[most]:
        moments[least] += excess + 1e-15 * moments[most]
    return moments


def moments_of(tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the principal moments of a tensor, ascending, and their axes (w, x, y, z)."""
    moments, axes = np.linalg.eigh(0.5 * (tensor + tensor.T))
    if np.linalg.det(axes) < 0:
        axes = axes * [1, 1, -1]
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, axes.flatten())
    return thickened(moments), quat


def rotation_of(quat: np.ndarray) -> np.ndarray:
    """Returns the rotation matrix of a quaternion (w, x, y, z), shape [3, 3]."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)


def mesh_vertices(model: mujoco.MjModel, mesh: int = 0) -> np.ndarray:
    """Returns the vertices of a model's mesh as they were given, shape [V, 3].

    MuJoCo stores a mesh in its principal axes.
    """
    start, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    vertices = model.mesh_vert[start : start + count]
    return np.asarray(vertices @ rotation_of(model.mesh_quat[mesh]).T + model.mesh_pos[mesh])


def moments_like(
    tensor: np.ndarray, moments: np.ndarray, axes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns an inertia tensor's moments and axes: the given ones, if they are its own.

    The axes of equal moments are arbitrary, so a tensor that does not change keeps them.

    Args:
        tensor: Shape [3, 3], exact to single precision.
        moments: Shape [3].
        axes: Quaternion (w, x, y, z).
    """
    rotation = rotation_of(axes)
    held = rotation * moments @ rotation.T
    if np.allclose(held, tensor, rtol=0, atol=1e-6 * np.abs(tensor).max()):
        return moments, axes
    return moments_of(tensor)


def possible(moments: np.ndarray) -> tuple[np.ndarray, bool]:
    """Returns moments of inertia that a body can have, and whether the given ones were not.

    Those that are not positive become small, and all become their mean where one exceeds the sum
    of the others.
    """
    most, impossible = float(moments.max()), bool(moments.min() <= 0)
    if impossible:
        moments = np.maximum(moments, max(_LEAST, 1e-3 * most))
    if moments.sum() < 2 * most * (1 - 0.5e-6):
        return np.full(3, moments.mean()), True
    return thickened(moments), impossible


def principal(tensor: np.ndarray, mass: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """Returns principal moments, their axes as a quaternion (w, x, y, z), and whether it mended.

    Args:
        tensor: Inertia about the centre of mass [kg m^2], shape [3, 3].
        mass: [kg]; a tensor of zeros becomes that of a ball of radius 0.1 m.
    """
    if not tensor.any():
        return np.full(3, max(0.4 * mass * 0.01, _LEAST)), np.array([1.0, 0, 0, 0]), True
    moments, quat = moments_of(tensor)
    moments, mended = possible(moments)
    return moments, quat, mended
