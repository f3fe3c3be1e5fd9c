"""Calls that load assets and describe them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlgpu.isaacgym.calls.base import Calls
from rlgpu.isaacgym.calls.checks import strict
from rlgpu.isaacgym.records.asset import Asset, Sensor, read_options
from rlgpu.isaacgym.records.enums import DofType, JointType
from rlgpu.isaacgym.records.geometry import Transform
from rlgpu.isaacgym.records.properties import (
    ActuatorProperties,
    ForceSensorProperties,
    IndexRange,
    RigidShapeProperties,
    TendonProperties,
)
from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.records.structs import AssetOptions
from rlgpu.isaacgym.simulation import primitives
from rlgpu.robots import read_mjcf, read_urdf

_INVALID = -1


IGNORED_OPTIONS = (
    "convex_decomposition_from_submeshes",
    "enable_gyroscopic_forces",
    "flip_visual_attachments",
    "mesh_normal_mode",
    "min_particle_mass",
    "slices_per_cylinder",
    "tendon_limit_stiffness",
    "thickness",
    "use_mesh_materials",
    "use_physx_armature",
)
"""Options that a script may set and that change nothing here; said once a file."""


@strict
class LoadingCalls(Calls):
    """Loading assets and describing them."""

    def load_asset(
        self, sim: Sim, rootpath: str, filename: str, options: AssetOptions | None = None
    ) -> Asset:
        """Returns the asset of an MJCF (``.xml``) or URDF (``.urdf``) file.

        Args:
            sim: The simulation.
            rootpath: Folder that ``filename`` is relative to.
            filename: The file.
            options: How to load it; copied.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It cannot be loaded; the message says why.
            NotImplementedError: It is a USD file.
        """
        path = Path(rootpath, filename)
        if not path.is_file():
            raise FileNotFoundError(f"load_asset: there is no file {path}")
        chosen = options.__copy__() if options else AssetOptions()
        plain = AssetOptions()
        idle = [n for n in IGNORED_OPTIONS if getattr(chosen, n) != getattr(plain, n)]
        if idle:
            self.notes.add(f"{path.name}: options without effect here: {', '.join(idle)}")
        kind = path.suffix.lower()
        with self.notes.of_robots():
            if kind == ".urdf":
                return Asset(read_urdf(path, [Path(rootpath)], read_options(chosen)), chosen)
            if kind in (".xml", ".mjcf"):
                return Asset(read_mjcf(path, read_options(chosen)), chosen)
        if kind.startswith(".usd"):
            raise NotImplementedError("load_asset: USD files are not read; use URDF or MJCF")
        raise ValueError(f"load_asset: {path.name} is neither URDF (.urdf) nor MJCF (.xml)")

    def load_urdf(
        self, sim: Sim, rootpath: str, filename: str, options: AssetOptions | None = None
    ) -> Asset:
        """Returns the asset of a URDF file; as ``load_asset``."""
        return self.load_asset(sim, rootpath, filename, options)

    def load_mjcf(
        self, sim: Sim, rootpath: str, filename: str, options: AssetOptions | None = None
    ) -> Asset:
        """Returns the asset of an MJCF file; as ``load_asset``."""
        return self.load_asset(sim, rootpath, filename, options)

    def create_box(
        self,
        sim: Sim,
        width: float,
        height: float,
        depth: float,
        options: AssetOptions | None = None,
    ) -> Asset:
        """Returns a box of side lengths along x, y and z [m]."""
        copied = options.__copy__() if options else AssetOptions()
        with self.notes.of_robots():
            return primitives.box(width, height, depth, copied)

    def create_sphere(self, sim: Sim, radius: float, options: AssetOptions | None = None) -> Asset:
        """Returns a ball of a radius [m]."""
        with self.notes.of_robots():
            return primitives.sphere(radius, options.__copy__() if options else AssetOptions())

    def create_capsule(
        self, sim: Sim, radius: float, width: float, options: AssetOptions | None = None
    ) -> Asset:
        """Returns a capsule along x; ``width`` is the length of its cylinder [m]."""
        copied = options.__copy__() if options else AssetOptions()
        with self.notes.of_robots():
            return primitives.capsule(radius, width, copied)

    def debug_print_asset(self, asset: Asset, outpath: str | None = None) -> None:
        """Prints an asset's bodies and degrees of freedom, or writes them to a file."""
        lines = [asset.file, "bodies:", *asset.bodies, "degrees of freedom:", *asset.dofs]
        if outpath:
            Path(outpath).write_text("\n".join(lines) + "\n")
        else:
            print("\n  ".join(lines))

    # Bodies and shapes

    def get_asset_rigid_body_count(self, asset: Asset) -> int:
        """Returns the number of bodies."""
        return len(asset.bodies)

    def get_asset_rigid_body_names(self, asset: Asset) -> list[str]:
        """Returns the names of the bodies."""
        return list(asset.bodies)

    def get_asset_rigid_body_name(self, asset: Asset, index: int) -> str:
        """Returns the name of a body."""
        return asset.bodies[index]

    def get_asset_rigid_body_dict(self, asset: Asset) -> dict[str, int]:
        """Returns the index of each body by name."""
        return {name: i for i, name in enumerate(asset.bodies)}

    def find_asset_rigid_body_index(self, asset: Asset, name: str) -> int:
        """Returns the index of a body, -1 if there is none of the name."""
        return find(asset.bodies, name)

    def get_asset_rigid_shape_count(self, asset: Asset) -> int:
        """Returns the number of collision shapes."""
        return len(asset.first_parts)

    def get_asset_rigid_body_shape_indices(self, asset: Asset) -> list[IndexRange]:
        """Returns each body's range of shapes."""
        return shape_ranges(asset)

    def get_asset_rigid_shape_properties(self, asset: Asset) -> list[RigidShapeProperties]:
        """Returns copies of the shapes' properties."""
        return [p.__copy__() for p in asset.visible_shapes(asset.shape_properties)]

    def set_asset_rigid_shape_properties(
        self, asset: Asset, props: list[RigidShapeProperties]
    ) -> None:
        """Sets the shapes' properties for actors created from now on."""
        values = checked_list(
            "set_asset_rigid_shape_properties", props, len(asset.first_parts), RigidShapeProperties
        )
        asset.shape_properties = asset.expand_shapes(values)

    # Degrees of freedom and joints

    def get_asset_dof_count(self, asset: Asset) -> int:
        """Returns the number of degrees of freedom."""
        return len(asset.dofs)

    def get_asset_dof_names(self, asset: Asset) -> list[str]:
        """Returns the names of the degrees of freedom."""
        return list(asset.dofs)

    def get_asset_dof_name(self, asset: Asset, index: int) -> str:
        """Returns the name of a degree of freedom."""
        return asset.dofs[index]

    def get_asset_dof_dict(self, asset: Asset) -> dict[str, int]:
        """Returns the index of each degree of freedom by name."""
        return {name: i for i, name in enumerate(asset.dofs)}

    def find_asset_dof_index(self, asset: Asset, name: str) -> int:
        """Returns the index of a degree of freedom, -1 if there is none of the name."""
        return find(asset.dofs, name)

    def get_asset_dof_type(self, asset: Asset, index: int) -> DofType:
        """Returns whether a degree of freedom rotates or translates."""
        return DofType.DOF_ROTATION if asset.rotates(index) else DofType.DOF_TRANSLATION

    def get_dof_type_string(self, type: DofType) -> str:
        """Returns the name of a type of degrees of freedom, such as ``Rotation``."""
        return _type_name(type)

    def get_asset_dof_properties(self, asset: Asset) -> np.ndarray:
        """Returns a copy of the properties of the degrees of freedom."""
        return asset.dof_properties.copy()

    def get_asset_joint_count(self, asset: Asset) -> int:
        """Returns the number of joints: one a body but the root, also where it is fixed."""
        return len(asset.joints)

    def get_asset_joint_names(self, asset: Asset) -> list[str]:
        """Returns the names of the joints."""
        return list(asset.joints)

    def get_asset_joint_name(self, asset: Asset, index: int) -> str:
        """Returns the name of a joint."""
        return asset.joints[index]

    def get_asset_joint_dict(self, asset: Asset) -> dict[str, int]:
        """Returns the index of each joint by name."""
        return {name: i for i, name in enumerate(asset.joints)}

    def find_asset_joint_index(self, asset: Asset, name: str) -> int:
        """Returns the index of a joint, -1 if there is none of the name."""
        return find(asset.joints, name)

    def get_asset_joint_type(self, asset: Asset, index: int) -> JointType:
        """Returns a joint's type."""
        name, axes = asset.joints[index], int(asset.model.body_jntnum[index + 2])
        if axes > 1 and name not in asset.dofs:
            return JointType.JOINT_BALL
        if name not in asset.dofs:
            return JointType.JOINT_FIXED
        rotates = asset.rotates(asset.dofs.index(name))
        return JointType.JOINT_REVOLUTE if rotates else JointType.JOINT_PRISMATIC

    def get_joint_type_string(self, type: JointType) -> str:
        """Returns the name of a type of joints, such as ``Revolute``."""
        return _type_name(type)

    # Actuators, tendons, sensors

    def get_asset_actuator_count(self, asset: Asset) -> int:
        """Returns the number of actuators of an MJCF file."""
        return len(asset.actuators)

    def get_asset_actuator_name(self, asset: Asset, index: int) -> str:
        """Returns the name of an actuator."""
        return asset.actuators[index].name

    def get_asset_actuator_joint_name(self, asset: Asset, index: int) -> str:
        """Returns the joint that an actuator acts on."""
        return asset.actuators[index].joint

    def get_asset_actuator_properties(self, asset: Asset) -> list[ActuatorProperties]:
        """Returns copies of the actuators' properties."""
        return [actuator.properties.__copy__() for actuator in asset.actuators]

    def find_asset_actuator_index(self, asset: Asset, name: str) -> int:
        """Returns the index of an actuator, -1 if there is none of the name."""
        return find([actuator.name for actuator in asset.actuators], name)

    def get_asset_tendon_count(self, asset: Asset) -> int:
        """Returns the number of tendons."""
        return len(asset.tendons)

    def get_asset_tendon_name(self, asset: Asset, index: int) -> str:
        """Returns the name of a tendon."""
        return asset.tendons[index]

    def find_asset_tendon_index(self, asset: Asset, name: str) -> int:
        """Returns the index of a tendon, -1 if there is none of the name."""
        return find(asset.tendons, name)

    def get_asset_tendon_properties(self, asset: Asset) -> list[TendonProperties]:
        """Returns copies of the tendons' properties."""
        return [properties.__copy__() for properties in asset.tendon_properties]

    def set_asset_tendon_properties(self, asset: Asset, props: list[TendonProperties]) -> bool:
        """Sets the tendons' properties for actors created from now on."""
        asset.tendon_properties = checked_list(
            "set_asset_tendon_properties", props, len(asset.tendons), TendonProperties
        )
        return True

    def create_asset_force_sensor(
        self,
        asset: Asset,
        body_idx: int,
        local_pose: Transform,
        props: ForceSensorProperties | None = None,
    ) -> int:
        """Adds a force sensor to a body and returns its index among the asset's sensors.

        Args:
            asset: An asset without actors so far.
            body_idx: Index of the body.
            local_pose: The sensor's frame in the body's.
            props: What it measures; copied.
        """
        if not 0 <= body_idx < len(asset.bodies):
            raise ValueError(
                f"create_asset_force_sensor: body {body_idx} of {asset.file}, which has "
                f"{len(asset.bodies)} bodies"
            )
        properties = props.__copy__() if props else ForceSensorProperties()
        asset.sensors.append(Sensor(body_idx, local_pose.__copy__(), properties))
        return len(asset.sensors) - 1

    def get_asset_soft_body_count(self, asset: Asset) -> int:
        """Returns 0: soft bodies are not simulated."""
        return 0


def find(names: Any, name: str) -> int:
    """Returns the index of a name, -1 if it is not there."""
    return list(names).index(name) if name in names else _INVALID


def shape_ranges(asset: Asset) -> list[IndexRange]:
    """Returns each body's range of shapes."""
    found = []
    for body in range(len(asset.bodies)):
        part = IndexRange()
        part.start, part.count = asset.body_shapes(body)
        found.append(part)
    return found


def checked_list(call: str, values: list[Any], count: int, kind: type) -> list[Any]:
    """Returns copies of records, refusing a wrong number or type of them."""
    if len(values) != count or not all(isinstance(value, kind) for value in values):
        raise ValueError(f"{call}: expected {count} {kind.__name__}, got {len(values)} values")
    return [value.__copy__() for value in values]


def _type_name(type: DofType | JointType) -> str:
    return type.name.partition("_")[2].capitalize()
