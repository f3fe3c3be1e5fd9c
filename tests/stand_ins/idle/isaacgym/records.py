"""Records of Isaac Gym's API that the worker fills in."""

import ctypes

import numpy as np

DTYPE_FLOAT32, DTYPE_UINT32 = 1, 2


class Vec3:
    def __init__(self, x=0.0, y=0.0, z=0.0):
        self.x, self.y, self.z = float(x), float(y), float(z)


class Quat:
    def __init__(self, x=0.0, y=0.0, z=0.0, w=1.0):
        self.x, self.y, self.z, self.w = float(x), float(y), float(z), float(w)


class Mat33:
    def __init__(self, rows):
        self.x, self.y, self.z = (Vec3(*row) for row in rows)


class Transform:
    def __init__(self):
        self.p, self.r = Vec3(), Quat()


class _PhysX:
    pass


class SimParams:
    def __init__(self):
        self.physx = _PhysX()


class PlaneParams:
    pass


class TriangleMeshParams:
    def __init__(self):
        self.transform = Transform()


class AttractorProperties:
    pass


class AssetOptions:
    pass


class ForceSensorProperties:
    pass


class CameraProperties:
    pass


class RigidBodyProperties:
    def __init__(self, mass, com, inertia):
        self.mass, self.com, self.inertia = mass, Vec3(*com), Mat33(inertia)


class RigidShapeProperties:
    def __init__(self):
        self.friction, self.filter, self.restitution = 1.0, 0, 0.0


class IndexRange:
    def __init__(self, start, count):
        self.start, self.count = start, count


_FIELDS = {"data_address": int, "device": int, "dtype": int, "shape": list, "own_data": bool}


class Tensor:
    """A descriptor; attributes take only what native properties would."""

    def __setattr__(self, name, value):
        if type(value) is not _FIELDS[name]:
            raise TypeError(name + " takes " + _FIELDS[name].__name__)
        object.__setattr__(self, name, value)

    def array(self):
        count = int(np.prod(self.shape))
        kind = {DTYPE_FLOAT32: ctypes.c_float, DTYPE_UINT32: ctypes.c_int32}[self.dtype]
        flat = np.ctypeslib.as_array((kind * count).from_address(self.data_address))
        return flat.reshape(self.shape)
