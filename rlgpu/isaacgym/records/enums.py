"""Enumerations and constants of Isaac Gym's API, under its own names.

Values follow the public documentation where it states them, and the order of the documentation's
lists elsewhere.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "CameraFollowMode",
    "ContactCollection",
    "CoordinateSpace",
    "DofDriveMode",
    "DofType",
    "ImageType",
    "IndexDomain",
    "JointType",
    "KeyboardInput",
    "MeshNormalMode",
    "MeshType",
    "MouseInput",
    "SimType",
    "SoftMaterialType",
    "TendonType",
    "TensorDataType",
    "UpAxis",
    "UsdMaterialMode",
]


class SimType(IntEnum):
    """Physics backends."""

    SIM_PHYSX = 0
    SIM_FLEX = 1


class UpAxis(IntEnum):
    """Axis that points up."""

    UP_AXIS_Y = 0
    UP_AXIS_Z = 1


class DofDriveMode(IntEnum):
    """What a degree of freedom responds to."""

    DOF_MODE_NONE = 0
    DOF_MODE_POS = 1
    DOF_MODE_VEL = 2
    DOF_MODE_EFFORT = 3


class DofType(IntEnum):
    """Kinds of degrees of freedom."""

    DOF_INVALID = -1
    DOF_ROTATION = 0
    DOF_TRANSLATION = 1


class JointType(IntEnum):
    """Kinds of joints."""

    JOINT_INVALID = -1
    JOINT_FIXED = 0
    JOINT_REVOLUTE = 1
    JOINT_PRISMATIC = 2
    JOINT_BALL = 3
    JOINT_PLANAR = 4
    JOINT_FLOATING = 5


class IndexDomain(IntEnum):
    """What an index counts in."""

    DOMAIN_ACTOR = 0
    DOMAIN_ENV = 1
    DOMAIN_SIM = 2


class CoordinateSpace(IntEnum):
    """Frame of forces and points."""

    ENV_SPACE = 0
    LOCAL_SPACE = 1
    GLOBAL_SPACE = 2


class ContactCollection(IntEnum):
    """When contacts are collected."""

    CC_NEVER = 0
    CC_LAST_SUBSTEP = 1
    CC_ALL_SUBSTEPS = 2


class ImageType(IntEnum):
    """Images of a camera sensor."""

    IMAGE_COLOR = 0
    IMAGE_DEPTH = 1
    IMAGE_SEGMENTATION = 2
    IMAGE_OPTICAL_FLOW = 3


class CameraFollowMode(IntEnum):
    """How a camera follows a body."""

    FOLLOW_POSITION = 0
    FOLLOW_TRANSFORM = 1


class MeshType(IntEnum):
    """Which geometry a call is about."""

    MESH_NONE = 0
    MESH_COLLISION = 1
    MESH_VISUAL = 2
    MESH_VISUAL_AND_COLLISION = 3


class MeshNormalMode(IntEnum):
    """Where a mesh's normals come from."""

    FROM_ASSET = 0
    COMPUTE_PER_VERTEX = 1
    COMPUTE_PER_FACE = 2


class SoftMaterialType(IntEnum):
    """Models of soft materials; soft bodies are not simulated."""

    MAT_COROTATIONAL = 0
    MAT_NEOHOOKEAN = 1


class TendonType(IntEnum):
    """Kinds of tendons."""

    TENDON_FIXED = 0
    TENDON_SPATIAL = 1


class TensorDataType(IntEnum):
    """Types of a tensor's elements."""

    DTYPE_FLOAT32 = 0
    DTYPE_UINT32 = 1
    DTYPE_UINT64 = 2
    DTYPE_UINT8 = 3
    DTYPE_INT16 = 4


class UsdMaterialMode(IntEnum):
    """Materials of a USD export; there is no such export."""

    USD_MATERIAL_DISPLAY_COLOR = 0
    USD_MATERIAL_PREVIEW_SURFACE = 1
    USD_MATERIAL_MDL = 2


_KEYS = (
    "SPACE APOSTROPHE COMMA MINUS PERIOD SLASH 0 1 2 3 4 5 6 7 8 9 SEMICOLON EQUAL A B C D "
    "E F G H I J K L M N O P Q R S T U V W X Y Z LEFT_BRACKET BACKSLASH RIGHT_BRACKET "
    "GRAVE_ACCENT ESCAPE TAB ENTER BACKSPACE INSERT DEL RIGHT LEFT DOWN UP PAGE_UP "
    "PAGE_DOWN HOME END CAPS_LOCK SCROLL_LOCK NUM_LOCK PRINT_SCREEN PAUSE NUMPAD_0 NUMPAD_1 "
    "NUMPAD_2 NUMPAD_3 NUMPAD_4 NUMPAD_5 NUMPAD_6 NUMPAD_7 NUMPAD_8 NUMPAD_9 NUMPAD_DEL "
    "NUMPAD_DIVIDE NUMPAD_MULTIPLY NUMPAD_SUBTRACT NUMPAD_ADD NUMPAD_ENTER NUMPAD_EQUAL "
    "LEFT_SHIFT LEFT_CONTROL LEFT_ALT LEFT_SUPER RIGHT_SHIFT RIGHT_CONTROL RIGHT_ALT "
    "RIGHT_SUPER MENU F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12"
)
KeyboardInput = IntEnum("KeyboardInput", [f"KEY_{key}" for key in _KEYS.split()], start=0)  # type: ignore[misc]
"""Keys of the keyboard."""

_BUTTONS = (
    "LEFT_BUTTON RIGHT_BUTTON MIDDLE_BUTTON FORWARD_BUTTON BACK_BUTTON SCROLL_RIGHT SCROLL_LEFT "
    "SCROLL_UP SCROLL_DOWN MOVE_RIGHT MOVE_LEFT MOVE_UP MOVE_DOWN"
)
MouseInput = IntEnum("MouseInput", [f"MOUSE_{button}" for button in _BUTTONS.split()], start=0)  # type: ignore[misc]
"""Buttons, scrolling and motion of the mouse."""

CONSTANTS = {
    "AXIS_NONE": 0,
    "AXIS_X": 1,
    "AXIS_Y": 2,
    "AXIS_Z": 4,
    "AXIS_TRANSLATION": 7,
    "AXIS_TWIST": 8,
    "AXIS_SWING_1": 16,
    "AXIS_SWING_2": 32,
    "AXIS_ROTATION": 56,
    "AXIS_ALL": 63,
    "DEFAULT_VIEWER_WIDTH": 1600,
    "DEFAULT_VIEWER_HEIGHT": 900,
    "INVALID_HANDLE": -1,
    "RIGID_BODY_NONE": 0,
    "RIGID_BODY_DISABLE_GRAVITY": 1,
    "RIGID_BODY_DISABLE_SIMULATION": 2,
    "RIGID_BODY_ENABLE_GYROSCOPIC_FORCES": 4,
    "STATE_NONE": 0,
    "STATE_POS": 1,
    "STATE_VEL": 2,
    "STATE_ALL": 3,
}
"""Plain integer constants."""

ENUMS: tuple[type[IntEnum], ...] = (
    SimType, UpAxis, DofDriveMode, DofType, JointType, IndexDomain, CoordinateSpace,
    ContactCollection, ImageType, CameraFollowMode, MeshType, MeshNormalMode, SoftMaterialType,
    TendonType, TensorDataType, UsdMaterialMode, KeyboardInput, MouseInput,
)  # fmt: skip
"""All enumerations; Isaac Gym also exports their members at the module's top."""
