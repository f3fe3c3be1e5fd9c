"""MuJoCo's contact sensors, one a body: the sum of the contacts on it, and of nothing else.

``cfrc_ext`` does not serve: it also contains applied forces, equality constraints and tendons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mujoco
import torch
from torch import Tensor

from rlgpu.sim.mujoco.layout import index_of
from rlgpu.sim.mujoco.wrenches import in_body_axes

_NET_FORCE = 3
_FORCE_TORQUE_POSITION = 1 << 1 | 1 << 2 | 1 << 4
CONTACT_NUMBERS = 9
"""Numbers of a contact sensor: force, torque and where they act, in world axes."""
_TYPE = mujoco.mjtSensor.mjSENS_CONTACT
_BODY = mujoco.mjtObj.mjOBJ_BODY


def add_contact_sensor(spec: mujoco.MjSpec, body: str, name: str = "") -> None:
    """Adds a sensor of the net contact wrench that a body exerts.

    Args:
        spec: The specification.
        body: Name of the body.
        name: Name of the sensor; empty: none.
    """
    sensor = spec.add_sensor(type=_TYPE, objtype=_BODY, objname=body, name=name)
    sensor.intprm[:3] = [_FORCE_TORQUE_POSITION, _NET_FORCE, 1]


class ContactSensors:
    """Reads contact wrenches and forces from a model's contact sensors."""

    def __init__(
        self, model: mujoco.MjModel, array: Callable[[str], Tensor], bodies: Sequence[int]
    ) -> None:
        """Finds the bodies' sensors.

        Args:
            model: The compiled model.
            array: Returns live arrays by name, as ``Worlds.array``.
            bodies: Ids of the bodies, S of them.

        Raises:
            ValueError: A body has no contact sensor.
        """
        sensors = {
            int(model.sensor_objid[i]): int(model.sensor_adr[i])
            for i in range(model.nsensor)
            if model.sensor_type[i] == _TYPE and model.sensor_objtype[i] == _BODY
        }
        if missing := [model.body(body).name for body in bodies if body not in sensors]:
            raise ValueError(
                f"contacts on {', '.join(map(repr, missing))} are not measured: the model has no "
                "contact sensor there; add it with add_contact_sensor before compiling"
            )
        self._outputs = array("sensordata")
        self._xpos, self._xmat = array("xpos"), array("xmat")
        device = self._outputs.device
        columns = [sensors[body] + i for body in bodies for i in range(CONTACT_NUMBERS)]
        self._columns, self._bodies = index_of(columns, device), index_of(bodies, device)
        self._shape = (len(self._outputs), len(bodies), CONTACT_NUMBERS)
        self.wrenches = torch.zeros(*self._shape[:2], 6, device=device)
        """Force [N] and torque [N m] about the bodies' origins, in their axes, as last read, shape
        [N, S, 6]."""
        self.forces_w = torch.zeros(*self._shape[:2], 3, device=device)
        """Force in world axes [N], as last read, shape [N, S, 3]."""

    def _read(self) -> Tensor:
        return self._outputs[:, self._columns].view(self._shape)

    def read_forces(self) -> None:
        """Updates ``forces_w``."""
        # A sensor reports the force that its body exerts.
        self.forces_w.copy_(-self._read()[..., :3])

    def read_wrenches(self) -> None:
        """Updates ``wrenches``."""
        outputs = self._read()
        force_w, arm_w = -outputs[..., :3], outputs[..., 6:] - self._xpos[:, self._bodies]
        torque_w = torch.linalg.cross(arm_w, force_w) - outputs[..., 3:6]
        self.wrenches.copy_(in_body_axes(force_w, torque_w, self._xmat[:, self._bodies]))
