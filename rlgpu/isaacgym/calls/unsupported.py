"""Calls that exist in Isaac Gym and raise here, each with its reason."""

from __future__ import annotations

_SOFT = "soft bodies are not simulated"
_FILES = "simulations are not saved to or loaded from files; create them by calls"
_USD = "USD is neither read nor written; use URDF or MJCF"
_OMNI = "there is no connection to Omniverse"
_OPENSIM = "OpenSim files are not read; use URDF or MJCF"
_ACTOR_SENSOR = "sensors belong to assets here; use create_asset_force_sensor"

REASONS: dict[str, str] = {
    **dict.fromkeys(
        (
            "acquire_particle_state_tensor", "acquire_pneumatic_pressure_tensor",
            "acquire_pneumatic_target_tensor", "create_cloth_grid", "create_tet_grid",
            "draw_env_soft_contacts", "get_actor_soft_body_count", "get_actor_soft_materials",
            "get_actor_tetrahedra_range", "get_actor_triangle_range", "get_asset_soft_materials",
            "get_pneumatic_pressure", "get_pneumatic_target", "get_sim_tetrahedra",
            "get_sim_tetrahedra_count", "get_sim_triangle_count", "get_sim_triangles",
            "get_soft_contacts", "refresh_particle_state_tensor",
            "refresh_pneumatic_pressure_tensor", "refresh_pneumatic_target_tensor",
            "reset_actor_particles_to_rest", "set_actor_soft_materials",
            "set_particle_state_tensor", "set_particle_state_tensor_indexed",
            "set_pneumatic_pressure", "set_pneumatic_pressure_tensor",
            "set_pneumatic_pressure_tensor_indexed", "set_pneumatic_target",
            "set_pneumatic_target_tensor", "set_pneumatic_target_tensor_indexed",
        ),
        _SOFT,
    ),
    **dict.fromkeys(("attach_sim", "load_sim"), _FILES),
    **dict.fromkeys(
        (
            "create_usd_exporter", "destroy_usd_exporter", "export_usd_asset", "export_usd_sim",
            "get_usd_export_root", "set_usd_export_root", "load_usd",
        ),
        _USD,
    ),
    **dict.fromkeys(("omni_connect", "omni_disconnect"), _OMNI),
    **dict.fromkeys(("get_sensor", "create_force_sensor"), _ACTOR_SENSOR),
    **dict.fromkeys(
        ("set_env_rigid_body_states", "set_sim_rigid_body_states", "set_rigid_body_state_tensor"),
        "bodies of articulations follow from roots and joints; set those",
    ),
    "load_opensim": _OPENSIM,
}  # fmt: skip
"""Why each call raises ``NotImplementedError``."""


class UnsupportedCalls:
    """Raises ``NotImplementedError`` with the reason for every call in ``REASONS``."""

    def __getattr__(self, name: str) -> object:
        if name in REASONS:

            def refuse(*_args: object, **_kwargs: object) -> object:
                raise NotImplementedError(f"{name}: {REASONS[name]}")

            return refuse
        raise AttributeError(f"'Gym' object has no attribute {name!r}")
