"""Domain randomisation helpers of ``isaacgym.gymutil``.

A parameter's settings are a mapping: ``range`` [a, b], ``operation`` (``additive`` or
``scaling``), ``distribution`` (``uniform``, ``loguniform`` or ``gaussian``, whose range is mean and
standard deviation), ``schedule`` (``linear`` or ``constant``) with ``schedule_steps``, and
``num_buckets``.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Settings = Mapping[str, Any]
_MOST_BUCKETS = 64000
_KINDS = ("dof_properties", "tendon_properties", "rigid_body_properties", "rigid_shape_properties")


def get_property_setter_map(gym: Any) -> dict[str, Callable[..., Any]]:
    """Returns the call that sets each kind of properties."""
    return {kind: getattr(gym, f"set_actor_{kind}") for kind in _KINDS} | {
        "sim_params": gym.set_sim_params
    }


def get_property_getter_map(gym: Any) -> dict[str, Callable[..., Any]]:
    """Returns the call that reads each kind of properties."""
    return {kind: getattr(gym, f"get_actor_{kind}") for kind in _KINDS} | {
        "sim_params": gym.get_sim_params
    }


def get_default_setter_args(gym: Any) -> dict[str, list[Any]]:
    """Returns the further arguments of each setter: masses recompute inertia."""
    return {kind: [True] if kind == "rigid_body_properties" else [] for kind in _KINDS} | {
        "sim_params": []
    }


def _progress(settings: Settings, step: int) -> float:
    """Returns how much of the randomisation acts at a step, in [0, 1]."""
    schedule = settings.get("schedule")
    if schedule == "linear":
        return min(step, settings["schedule_steps"]) / settings["schedule_steps"]
    return float(step >= settings["schedule_steps"]) if schedule == "constant" else 1.0


def generate_random_samples(
    attr_randomization_params: Settings,
    shape: Any,
    curr_gym_step_count: int,
    extern_sample: Any = None,
) -> Any:
    """Returns random numbers of a shape, as the settings ask at a step of the simulation.

    Args:
        attr_randomization_params: The settings.
        shape: Shape of the result.
        curr_gym_step_count: Steps so far, for the schedule.
        extern_sample: Used instead of random numbers.
    """
    settings = attr_randomization_params
    fraction = _progress(settings, curr_gym_step_count)
    neutral = 1.0 if settings["operation"] == "scaling" else 0.0

    def toward(value: Any) -> Any:
        return value * fraction + neutral * (1 - fraction)

    if extern_sample is not None:
        return toward(extern_sample)
    first, second = settings["range"]
    if settings["distribution"] == "gaussian":
        return np.random.normal(toward(first), second * fraction, shape)
    if settings["distribution"] == "loguniform":
        return np.exp(np.random.uniform(np.log(toward(first)), np.log(toward(second)), shape))
    return np.random.uniform(toward(first), toward(second), shape)


def get_bucketed_val(new_prop_val: float, attr_randomization_params: Settings) -> float:
    """Returns the lower edge of the bucket that a value falls into."""
    low, high = attr_randomization_params["range"]
    if attr_randomization_params["distribution"] != "uniform":
        low, high = low - 2 * np.sqrt(high), low + 2 * np.sqrt(high)
    count = attr_randomization_params["num_buckets"]
    edges = [(high - low) * i / count + low for i in range(count)]
    return float(edges[max(bisect(edges, new_prop_val) - 1, 0)])


def apply_random_samples(
    prop: Any,
    og_prop: Any,
    attr: str,
    attr_randomization_params: Settings,
    curr_gym_step_count: int,
    extern_sample: Any = None,
) -> None:
    """Randomises one attribute of properties in place.

    Args:
        prop: Properties that are changed: a structured array or a record.
        og_prop: Their original values: an array, or a mapping of a record's.
        attr: The attribute.
        attr_randomization_params: The settings.
        curr_gym_step_count: Steps so far, for the schedule.
        extern_sample: Used instead of random numbers.
    """
    settings = attr_randomization_params
    original = og_prop[attr]
    shape = prop[attr].shape if isinstance(prop, np.ndarray) else np.shape(original)
    sample = generate_random_samples(settings, shape or 1, curr_gym_step_count, extern_sample)
    added = settings["operation"] == "additive"
    values = original + sample if added else original * sample
    if isinstance(prop, np.ndarray):
        prop[attr] = values
        return
    value = float(np.asarray(values).reshape(-1)[0])
    if settings.get("num_buckets", 0) > 0:
        value = get_bucketed_val(value, settings)
    setattr(prop, attr, value)


def check_buckets(gym: Any, envs: Sequence[Any], dr_params: Mapping[str, Any]) -> None:
    """Refuses settings with more combinations of buckets than the simulation has materials.

    Raises:
        AssertionError: There are more than 64 000.
    """
    total = 0
    for name, actor in dr_params["actor_params"].items():
        handle = gym.find_actor_handle(envs[0], name)
        shapes = gym.get_actor_rigid_shape_count(envs[0], handle)
        per_shape = [
            settings["num_buckets"]
            for kind, attributes in actor.items()
            if kind == "rigid_shape_properties"
            for settings in attributes.values()
            if settings.get("num_buckets", 0) > 0
        ]
        total += int(np.prod(per_shape)) * shapes if per_shape else 0
    if total > _MOST_BUCKETS:
        raise AssertionError(f"{total} buckets; at most {_MOST_BUCKETS} are possible")
