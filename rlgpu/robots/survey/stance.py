"""A robot in a pose: where it meets the ground, what its joints carry, whether it stays up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.robots.frames import rotation_of
from rlgpu.sim.mujoco.actuators import add_drive
from rlgpu.sim.mujoco.layout import free_joint, scalar_joints
from rlgpu.sim.scene import Drive

_TOUCHING = 0.1
"""Height above the lowest point at which the end of a limb is still a foot, as a share of the
base's height: feet of a pose need not be at one height."""
_PATCH = 0.005
"""Height within which the points of a foot belong to its sole [m]."""
_STAND, _STAND_ON_TWO = 2.0, 0.5
"""Time that a robot must stay up [s]; drives alone do not balance two legs for long."""
_STEP = 0.004
_RISEN = 0.002
"""Height above the ground at which standing begins [m]."""


class Foot(NamedTuple):
    """Where a robot meets the ground."""

    body: str
    point_b: tuple[float, float, float]
    """Middle of its sole in the body's axes [m]."""
    is_flat: bool
    """Whether it meets the ground with a surface, not a point or a line."""


class Stand(NamedTuple):
    """How a robot stood."""

    stays: bool
    tilt: float
    """Of the base in the end [rad]."""
    height: float
    """Height of the base in the end, as a share of that at the start."""
    speed: float
    """Of the base in the end [m/s]."""


class Stance:
    """A robot whose joints are put somewhere, base upright, feet on the ground."""

    def __init__(self, spec: mujoco.MjSpec, base: str) -> None:
        """Compiles the robot.

        Args:
            spec: The robot alone; not changed.
            base: Body that floats.
        """
        self.spec, self.base = spec, base
        self.model = compiled(spec.copy())
        self.data = mujoco.MjData(self.model)
        model = self.model
        self.base_id = int(model.body(base).id)
        self.joints = {model.joint(j).name: j for j in scalar_joints(model)}
        self.root = int(  # where the base is in ``qpos``
            model.jnt_qposadr[free_joint(model, self.base_id)]
        )
        touching = (model.geom_contype | model.geom_conaffinity) > 0
        self._geoms = [int(g) for g in np.flatnonzero(touching & (model.geom_bodyid > 0))]

    @property
    def drawn(self) -> dict[str, float]:
        """The pose in which the file draws the robot, which its limits may exclude."""
        qpos0, places = self.model.qpos0, self.model.jnt_qposadr
        return {name: float(qpos0[places[j]]) for name, j in self.joints.items()}

    def put(self, joint_pos: Mapping[str, float]) -> float:
        """Puts the joints somewhere, the base upright and the lowest point on the ground.

        Args:
            joint_pos: By joint [rad or m]; others are where the file has them.

        Returns:
            The base's height [m].
        """
        model, data = self.model, self.data
        mujoco.mj_resetData(model, data)
        root = self.root
        data.qpos[root : root + 7] = [0, 0, 0, 1, 0, 0, 0]
        self.move(joint_pos)
        data.qpos[root + 2] = -min((self._lowest(g)[:, 2].min() for g in self._geoms), default=0.0)
        mujoco.mj_fwdPosition(model, data)
        return float(data.qpos[root + 2])

    def move(self, joint_pos: Mapping[str, float]) -> None:
        """Moves some joints and nothing else: the base stays where it is, other joints too."""
        for name, value in joint_pos.items():
            self.data.qpos[self.model.jnt_qposadr[self.joints[name]]] = value
        mujoco.mj_kinematics(self.model, self.data)

    def _lowest(self, geom: int) -> np.ndarray:
        """Returns points of a geom's surface among which its lowest are, in world axes, [P, 3]."""
        model, data = self.model, self.data
        kinds, size = mujoco.mjtGeom, model.geom_size[geom]
        kind, at = model.geom_type[geom], data.geom_xpos[geom]
        axes = data.geom_xmat[geom].reshape(3, 3)
        if kind == kinds.mjGEOM_MESH:
            mesh = model.geom_dataid[geom]
            start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
            return at + model.mesh_vert[start : start + count] @ axes.T
        if kind == kinds.mjGEOM_BOX:
            signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
            return at + (signs * size) @ axes.T
        if kind == kinds.mjGEOM_SPHERE:
            return (at - [0, 0, size[0]])[None]
        ends = np.array([[0, 0, -size[1]], [0, 0, size[1]]]) @ axes.T
        if kind == kinds.mjGEOM_CAPSULE:
            return at + ends - [0, 0, size[0]]
        if kind == kinds.mjGEOM_CYLINDER:
            turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            rim = size[0] * np.stack([np.cos(turns), np.sin(turns), np.zeros(24)], axis=1) @ axes.T
            return at + (ends[:, None] + rim).reshape(-1, 3)
        # An ellipsoid's lowest point, by its support function; other kinds are taken for spheres.
        down = axes.T @ [0, 0, -1.0]
        radii = size if kind == kinds.mjGEOM_ELLIPSOID else np.full(3, model.geom_rbound[geom])
        return (at + axes @ (radii**2 * down / np.linalg.norm(radii * down)))[None]

    def feet(self) -> list[Foot]:
        """Returns where the robot meets the ground in its pose, one place for each limb."""
        model = self.model
        height = float(self.data.xpos[self.base_id, 2])
        found: dict[int, tuple[float, np.ndarray]] = {}
        for geom in self._geoms:
            points, body = self._lowest(geom), int(model.geom_bodyid[geom])
            low = float(points[:, 2].min())
            if low > _TOUCHING * height:
                continue
            least, others = found.get(body, (low, points[:0]))
            found[body] = (min(least, low), np.concatenate((others, points)))
        # Of a leg and the foot at its end, or a foot and its toes, the end counts.
        limbs = {body: self.limb(model.body(body).name) for body in found}
        ends = [b for b in found if not any(b != o and b in limbs[o] for o in found)]
        ends = [b for b in ends if len(self.chain(model.body(b).name)) > 1]
        return [self._foot(body, *found[body]) for body in ends]

    def _foot(self, body: int, low: float, points: np.ndarray) -> Foot:
        sole = points[points[:, 2] < low + _PATCH]
        spread = np.ptp(sole[:, :2], axis=0)
        middle = np.array([*(0.5 * (sole[:, :2].min(0) + sole[:, :2].max(0))), low])
        x, y, z = self.data.xmat[body].reshape(3, 3).T @ (middle - self.data.xpos[body])
        point = round(float(x), 5), round(float(y), 5), round(float(z), 5)
        name = self.model.body(body).name
        return Foot(name, point, bool(spread.min() > 0.02))

    def limb(self, body: str) -> list[int]:
        """Returns the ids of the bodies from below the base to a body, this one included."""
        at, found = int(self.model.body(body).id), []
        while at not in (0, self.base_id):
            found.append(at)
            at = int(self.model.body_parentid[at])
        return found[::-1]

    def chain(self, body: str) -> list[str]:
        """Returns the joints between the base and a body, from the base on."""
        model = self.model
        return [
            model.joint(int(model.body_jntadr[at]) + i).name
            for at in self.limb(body)
            for i in range(int(model.body_jntnum[at]))
        ]

    def place(self, foot: Foot) -> np.ndarray:
        """Returns where the middle of a foot's sole is in world axes [m], shape [3]."""
        body = self.model.body(foot.body).id
        turn = self.data.xmat[body].reshape(3, 3)
        return np.asarray(self.data.xpos[body] + turn @ foot.point_b)

    def axis(self, joint: str) -> np.ndarray:
        """Returns a joint's axis in world axes, shape [3]."""
        return np.array(self.data.xaxis[self.joints[joint]])

    def inertia(self, joint: str) -> float:
        """Returns what a joint turns or moves of the robot with the base held [kg m^2 or kg]."""
        model = self.model
        full = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, self.data, full)
        dof = int(model.jnt_dofadr[self.joints[joint]])
        return float(full[dof, dof])

    def loads(self, feet: Sequence[Foot]) -> dict[str, float]:
        """Returns the torque or force that holds each joint in the pose, weight shared by the feet.

        Args:
            feet: Where the robot stands.

        Returns:
            Absolute values by joint [N m or N].
        """
        model, data = self.model, self.data
        data.qvel[:] = 0
        mujoco.mj_forward(model, data)
        forces = np.array(data.qfrc_bias)
        weight = float(model.body_subtreemass[self.base_id] * -model.opt.gravity[2])
        for foot in feet:
            jacobian = np.zeros((3, model.nv))
            body = int(model.body(foot.body).id)
            mujoco.mj_jac(model, data, jacobian, None, self.place(foot), body)
            forces -= jacobian[2] * weight / len(feet)
        return {name: abs(float(forces[model.jnt_dofadr[j]])) for name, j in self.joints.items()}


def compiled(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Returns the model of a specification that nobody else uses."""
    spec.compiler.LRopt.mode = mujoco.mjtLRMode.mjLRMODE_NONE  # slow, and not needed
    return spec.compile()


def stand(stance: Stance, drives: Mapping[str, Drive]) -> Stand:
    """Lets a robot stand on a plane for a while, from the pose that it has been put in.

    Args:
        stance: The robot in its pose.
        drives: Position drives by joint, which hold the pose.
    """
    feet = len(stance.feet())
    whole = stance.spec.copy()
    for geom in whole.geoms:  # they touch the ground, not each other
        geom.contype, geom.conaffinity = 0, int((geom.contype | geom.conaffinity) > 0)
    whole.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=1, conaffinity=0
    )
    for name, drive in drives.items():
        add_drive(whole, name, drive)
    whole.option.timestep = _STEP
    whole.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    model = compiled(whole)
    data = mujoco.MjData(model)
    data.qpos[:] = stance.data.qpos
    root = stance.root
    height = float(data.qpos[root + 2])
    data.qpos[root + 2] += _RISEN
    for i in range(model.nu):
        data.ctrl[i] = data.qpos[model.jnt_qposadr[model.joint(model.actuator(i).name).id]]
    for _ in range(int((_STAND if feet > 2 else _STAND_ON_TWO) / _STEP)):
        mujoco.mj_step(model, data)
    up = rotation_of(data.qpos[root + 3 : root + 7])[2, 2]
    tilt = float(np.arccos(np.clip(up, -1, 1)))
    share = float(data.qpos[root + 2] / height)
    dof = int(model.jnt_dofadr[free_joint(model, stance.base_id)])
    speed = float(np.linalg.norm(data.qvel[dof : dof + 3]))
    is_calm = speed < 0.2 or feet <= 2
    return Stand(feet > 1 and tilt < 0.3 and 0.7 < share < 1.1 and is_calm, tilt, share, speed)
