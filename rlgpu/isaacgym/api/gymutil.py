"""Command line, configuration and drawing helpers: ``isaacgym.gymutil``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.api.lines import (
    AxesGeometry,
    LineGeometry,
    WireframeBBoxGeometry,
    WireframeBoxGeometry,
    WireframeSphereGeometry,
    draw_line,
    draw_lines,
)
from rlgpu.isaacgym.api.randomization import (
    apply_random_samples,
    check_buckets,
    generate_random_samples,
    get_bucketed_val,
    get_default_setter_args,
    get_property_getter_map,
    get_property_setter_map,
)
from rlgpu.isaacgym.records.fields import Field, Record

__all__ = [
    "AxesGeometry", "LineGeometry", "WireframeBBoxGeometry", "WireframeBoxGeometry",
    "WireframeSphereGeometry", "apply_random_samples", "check_buckets", "draw_line", "draw_lines",
    "generate_random_samples", "get_bucketed_val", "get_default_setter_args",
    "get_property_getter_map", "get_property_setter_map", "parse_arguments", "parse_bool",
    "parse_device_str", "parse_flex_config", "parse_physx_config", "parse_sim_config",
]  # fmt: skip

_TRUE, _FALSE = ("true", "yes", "on", "1", "t", "y"), ("false", "no", "off", "0", "f", "n")


def parse_bool(value: Any) -> bool:
    """Returns a truth value from a bool, a number or a word such as ``yes``."""
    if isinstance(value, str):
        if value.lower() not in (*_TRUE, *_FALSE):
            raise ValueError(f"{value!r} is not a truth value; use true or false")
        return value.lower() in _TRUE
    return bool(value)


def parse_device_str(device_str: str) -> tuple[str, int]:
    """Returns type and index of a device such as ``cuda:1``, ``cpu`` or ``gpu``.

    Raises:
        ValueError: It is no such device.
    """
    kind, _, index = device_str.partition(":")
    if kind not in ("cpu", "cuda", "gpu") or (index and not index.isdigit()):
        raise ValueError(f"Invalid device string {device_str!r}; use cpu, cuda or cuda:1")
    return ("cuda" if kind == "gpu" else kind), int(index or 0)


def parse_arguments(
    description: str = "Isaac Gym Example",
    headless: bool = False,
    no_graphics: bool = False,
    custom_parameters: Sequence[Mapping[str, Any]] = (),
) -> argparse.Namespace:
    """Returns the script's command line, read as Isaac Gym's scripts read theirs.

    Args:
        description: Shown by ``--help``.
        headless: Whether to offer ``--headless``.
        no_graphics: Whether to offer ``--nographics``.
        custom_parameters: The script's own: dictionaries of ``name``, ``type``, ``default``,
            ``action``, ``help`` and the like, as ``argparse`` takes them. Other keys are ignored.
    """
    parser = argparse.ArgumentParser(description=description)
    if headless:
        parser.add_argument("--headless", action="store_true", help="no viewer")
    if no_graphics:
        parser.add_argument("--nographics", action="store_true", help="no graphics at all")
    parser.add_argument("--sim_device", default="cuda:0", help="device of the physics: cpu, cuda:0")
    parser.add_argument("--pipeline", default="gpu", help="where tensors are: cpu or gpu")
    parser.add_argument("--graphics_device_id", type=int, default=0, help="GPU that draws")
    engines = parser.add_mutually_exclusive_group()
    engines.add_argument("--flex", action="store_true", help="not available here")
    engines.add_argument("--physx", action="store_true", help="rigid bodies (default)")
    parser.add_argument("--num_threads", type=int, default=0, help="threads of the physics")
    parser.add_argument("--subscenes", type=int, default=0, help="ignored")
    parser.add_argument("--slices", type=int, default=None, help="ignored")
    for parameter in custom_parameters:
        _add(parser, parameter)
    args = parser.parse_args()
    args.sim_device_type, args.compute_device_id = parse_device_str(args.sim_device)
    pipeline = args.pipeline.lower()
    if pipeline not in ("cpu", "gpu", "cuda"):
        parser.error(f"--pipeline {args.pipeline}: use cpu or gpu")
    on_gpu = args.sim_device_type == "cuda"
    if pipeline != "cpu" and not on_gpu:
        print("Tensors stay on the CPU, where the physics is: --pipeline cpu")
        args.pipeline = pipeline = "cpu"
    args.use_gpu, args.use_gpu_pipeline = on_gpu, pipeline != "cpu"
    args.physics_engine = gymapi.SimType.SIM_FLEX if args.flex else gymapi.SimType.SIM_PHYSX
    if no_graphics and args.nographics:
        args.headless = True
    if args.slices is None:
        args.slices = args.subscenes
    return args


def _add(parser: argparse.ArgumentParser, parameter: Mapping[str, Any]) -> None:
    """Adds a script's own option."""
    if "type" not in parameter and "action" not in parameter:
        raise ValueError(
            f"custom parameter {parameter.get('name')}: it needs a type or an action, got "
            f"{dict(parameter)}"
        )
    known = {"action", "default", "help", "required", "dest"}
    if "action" not in parameter:
        known = (known - {"action"}) | {"type", "nargs", "choices", "metavar"}
    if parameter.get("nargs") == "?" or str(parameter.get("action")).endswith("_const"):
        known |= {"const"}
    # Other keys are ignored, as Isaac Gym ignores them.
    options = {key: value for key, value in parameter.items() if key in known}
    parser.add_argument(parameter["name"], **options)


def parse_sim_config(sim_cfg: Mapping[str, Any], sim_options: gymapi.SimParams) -> None:
    """Sets parameters of a simulation from a configuration; unknown keys are left out.

    Args:
        sim_cfg: Values by name; ``physx`` and ``flex`` hold mappings of their own.
        sim_options: Changed in place.
    """
    _assign(sim_options, {k: v for k, v in sim_cfg.items() if k not in ("physx", "flex")})
    if sim_cfg.get("physx"):
        parse_physx_config(sim_cfg["physx"], sim_options)
    if sim_cfg.get("flex"):
        parse_flex_config(sim_cfg["flex"], sim_options)


def parse_physx_config(physx_cfg: Mapping[str, Any], sim_options: gymapi.SimParams) -> None:
    """Sets the PhysX part of a simulation's parameters; unknown keys are left out."""
    _assign(sim_options.physx, physx_cfg)


def parse_flex_config(flex_cfg: Mapping[str, Any], sim_options: gymapi.SimParams) -> None:
    """Sets the Flex part of a simulation's parameters; unknown keys are left out."""
    _assign(sim_options.flex, flex_cfg)


def _assign(record: Record, values: Mapping[str, Any]) -> None:
    for name, given in values.items():
        field = getattr(type(record), name, None)
        if not isinstance(field, Field):
            continue
        current = getattr(record, name)
        value = given
        if isinstance(current, gymapi.Vec3):
            value = gymapi.Vec3(*map(float, given))
        elif isinstance(current, bool):
            value = parse_bool(given)
        elif isinstance(current, int | float):
            value = type(current)(given)  # also turns a number into its enumeration
        setattr(record, name, value)


def _indent_xml(elem: Any, level: int = 0) -> None:
    """Indents an XML element in place; two public tasks use this private name."""
    space = "\n" + level * "  "
    if len(elem):
        elem.text = elem.text if (elem.text or "").strip() else space + "  "
        for child in elem:
            _indent_xml(child, level + 1)
            child.tail = child.tail if (child.tail or "").strip() else space + "  "
        elem[-1].tail = space
    if level and not (elem.tail or "").strip():
        elem.tail = space
