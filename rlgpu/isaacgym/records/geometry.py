"""Vectors, quaternions and transforms of Isaac Gym's API, and their NumPy layouts.

Quaternions are (x, y, z, w). The ``dtype`` of each class is the layout of its elements in arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from rlgpu.isaacgym.records.fields import Field, Record, converted

__all__ = [
    "Int2",
    "Int3",
    "Mat33",
    "Mat44",
    "Quat",
    "SpatialForce",
    "Transform",
    "Vec2",
    "Vec3",
    "Velocity",
]


class _Vector(Record):
    """Components that are added, subtracted and scaled."""

    dtype: ClassVar[np.dtype[Any]]

    def _values(self) -> list[Any]:
        return [getattr(self, name) for name in self.fields()]

    def __iter__(self) -> Any:
        return iter(self._values())

    @classmethod
    def from_buffer(cls, buffer: Any) -> Self:
        """Returns the element that a buffer of this layout, or a sequence of numbers, begins with.

        Args:
            buffer: An array element of ``dtype``, an array or a sequence of numbers.
        """
        array = np.asarray(buffer)
        if array.dtype.names:
            item = array.reshape(-1)[0]
            return cls(*(item[name].item() for name in array.dtype.names))
        return cls(*array.reshape(-1)[: len(cls.fields())].tolist())


class _Linear(_Vector):
    def __add__(self, other: Self) -> Self:
        self._check(other)
        return type(self)(*(a + b for a, b in zip(self, other, strict=True)))

    def __sub__(self, other: Self) -> Self:
        self._check(other)
        return type(self)(*(a - b for a, b in zip(self, other, strict=True)))

    def __mul__(self, scale: float) -> Self:
        factor = converted(scale, float, "scale")
        return type(self)(*(a * factor for a in self))

    def __truediv__(self, scale: float) -> Self:
        return self * (1.0 / scale)

    def __neg__(self) -> Self:
        return self * -1.0

    def _check(self, other: object) -> None:
        if type(other) is not type(self):
            raise TypeError(f"expected {type(self).__name__}, got {type(other).__name__}")


class Vec2(_Linear):
    """A vector of two numbers."""

    dtype = np.dtype([("x", "f4"), ("y", "f4")])
    x = Field(0.0)
    y = Field(0.0)

    def __init__(self, x: float = 0.0, y: float = 0.0) -> None:
        self.x, self.y = x, y


class Int2(_Vector):
    """Two whole numbers."""

    dtype = np.dtype([("x", "i4"), ("y", "i4")])
    x = Field(0)
    y = Field(0)

    def __init__(self, x: int = 0, y: int = 0) -> None:
        self.x, self.y = x, y


class Int3(_Vector):
    """Three whole numbers."""

    dtype = np.dtype([("x", "i4"), ("y", "i4"), ("z", "i4")])
    x = Field(0)
    y = Field(0)
    z = Field(0)

    def __init__(self, x: int = 0, y: int = 0, z: int = 0) -> None:
        self.x, self.y, self.z = x, y, z


class Vec3(_Linear):
    """A vector of three numbers."""

    dtype = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4")])
    x = Field(0.0)
    y = Field(0.0)
    z = Field(0.0)

    def __init__(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> None:
        self.x, self.y, self.z = x, y, z

    def cross(self, other: Vec3) -> Vec3:
        """Returns the cross product with another vector."""
        return Vec3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )

    def dot(self, other: Vec3) -> float:
        """Returns the scalar product with another vector."""
        return self.x * other.x + self.y * other.y + self.z * other.z

    def length(self) -> float:
        """Returns the Euclidean length."""
        return math.sqrt(self.length_sq())

    def length_sq(self) -> float:
        """Returns the squared length."""
        return self.dot(self)

    def normalize(self) -> Vec3:
        """Returns the vector of length 1 in the same direction; zero stays zero."""
        return self / (self.length() or 1.0)


class Quat(_Vector):
    """A quaternion (x, y, z, w)."""

    dtype = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("w", "f4")])
    x = Field(0.0)
    y = Field(0.0)
    z = Field(0.0)
    w = Field(1.0)

    def __init__(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, w: float = 1.0) -> None:
        self.x, self.y, self.z, self.w = x, y, z, w

    @staticmethod
    def from_axis_angle(axis: Vec3, angle: float) -> Quat:
        """Returns the rotation about an axis by an angle [rad]."""
        unit, half = axis.normalize(), 0.5 * angle
        scaled = unit * math.sin(half)
        return Quat(scaled.x, scaled.y, scaled.z, math.cos(half))

    @staticmethod
    def from_euler_zyx(x: float, y: float, z: float) -> Quat:
        """Returns the rotation about x, then about the fixed y, then about the fixed z [rad]."""
        turns = zip((Vec3(x=1), Vec3(y=1), Vec3(z=1)), (x, y, z), strict=True)
        about_x, about_y, about_z = (Quat.from_axis_angle(axis, angle) for axis, angle in turns)
        return about_z * about_y * about_x

    def to_euler_zyx(self) -> tuple[float, float, float]:
        """Returns the angles (x, y, z) [rad] that ``from_euler_zyx`` takes."""
        x, y, z, w = self
        about_x = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
        about_y = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
        about_z = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        return about_x, about_y, about_z

    def inverse(self) -> Quat:
        """Returns the inverse of a unit quaternion."""
        return Quat(-self.x, -self.y, -self.z, self.w)

    def normalize(self) -> Quat:
        """Returns the unit quaternion of the same rotation."""
        norm = math.sqrt(sum(value * value for value in self)) or 1.0
        return Quat(*(value / norm for value in self))

    def rotate(self, vector: Vec3) -> Vec3:
        """Returns a rotated vector."""
        axis = Vec3(self.x, self.y, self.z)
        t = axis.cross(vector) * 2.0
        return vector + t * self.w + axis.cross(t)

    def __mul__(self, other: Quat) -> Quat:
        a, b = self, other
        return Quat(
            a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
            a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x,
            a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w,
            a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z,
        )


class Transform(Record):
    """A position and an orientation."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype([("p", Vec3.dtype), ("r", Quat.dtype)])
    p = Field(Vec3())
    """Position [m]."""
    r = Field(Quat())
    """Orientation."""

    def __init__(self, p: Vec3 | None = None, r: Quat | None = None) -> None:
        self.p, self.r = p or Vec3(), r or Quat()

    @classmethod
    def from_buffer(cls, buffer: Any) -> Transform:
        """Returns the transform at the beginning of a buffer of this layout or of seven numbers."""
        array = np.asarray(buffer)
        if array.dtype.names:
            item = array.reshape(-1)[0]
            return cls(Vec3.from_buffer(item["p"]), Quat.from_buffer(item["r"]))
        flat = array.reshape(-1)
        return cls(Vec3.from_buffer(flat[:3]), Quat.from_buffer(flat[3:7]))

    def inverse(self) -> Transform:
        """Returns the transform that undoes this one."""
        back = self.r.inverse()
        return Transform(-back.rotate(self.p), back)

    def transform_point(self, point: Vec3) -> Vec3:
        """Returns a point, rotated and moved."""
        return self.r.rotate(point) + self.p

    def transform_vector(self, vector: Vec3) -> Vec3:
        """Returns a vector, rotated."""
        return self.r.rotate(vector)

    def transform_points(self, points: np.ndarray) -> np.ndarray:
        """Returns points of layout ``Vec3.dtype``, rotated and moved."""
        return _mapped(self.transform_point, points)

    def transform_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """Returns vectors of layout ``Vec3.dtype``, rotated."""
        return _mapped(self.transform_vector, vectors)

    def __mul__(self, other: Transform) -> Transform:
        return Transform(self.transform_point(other.p), self.r * other.r)

    def values(self) -> list[float]:
        """Returns position and orientation as seven numbers, the order of the state tensors."""
        return [*self.p, *self.r]


class Velocity(Record):
    """A linear and an angular velocity."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype([("linear", Vec3.dtype), ("angular", Vec3.dtype)])
    linear = Field(Vec3())
    """[m/s]"""
    angular = Field(Vec3())
    """[rad/s]"""

    def __init__(self, p: Vec3 | None = None, q: Vec3 | None = None) -> None:
        self.linear, self.angular = p or Vec3(), q or Vec3()

    @classmethod
    def from_buffer(cls, buffer: Any) -> Velocity:
        """Returns the velocity at the beginning of a buffer of this layout."""
        item = np.asarray(buffer).reshape(-1)[0]
        return cls(Vec3.from_buffer(item["linear"]), Vec3.from_buffer(item["angular"]))


class Mat33(Record):
    """A 3 by 3 matrix of rows."""

    x = Field(Vec3())
    y = Field(Vec3())
    z = Field(Vec3())

    def rows(self) -> list[list[float]]:
        """Returns the rows as lists."""
        return [list(self.x), list(self.y), list(self.z)]

    def set_rows(self, rows: Sequence[Sequence[float]]) -> None:
        """Replaces all rows."""
        self.x, self.y, self.z = (Vec3(*map(float, row)) for row in rows)


class Mat44(Record):
    """A 4 by 4 matrix of rows."""

    x = Field(Quat(0, 0, 0, 0))
    y = Field(Quat(0, 0, 0, 0))
    z = Field(Quat(0, 0, 0, 0))
    w = Field(Quat(0, 0, 0, 0))


class SpatialForce(Record):
    """A force [N] and a torque [N m]."""

    force = Field(Vec3())
    torque = Field(Vec3())


def _mapped(function: Any, array: np.ndarray) -> np.ndarray:
    items = [tuple(function(Vec3.from_buffer(item))) for item in np.asarray(array).reshape(-1)]
    return np.array(items, dtype=Vec3.dtype).reshape(np.shape(array))
