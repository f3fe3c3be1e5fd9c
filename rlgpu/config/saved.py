"""A saved run's configuration, as the starting point of another: resumed, played or repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rlgpu.config.schema import Config

_NEVER = ("test", "checkpoint", "weights_only", "run")
"""What only the command line says."""
_NOT_WHEN_PLAYING = (
    "num_envs", "headless", "games", "capture_video", "capture_video_freq", "capture_video_len",
    "sim_device", "rl_device",
)  # fmt: skip
"""How a run trained, which playing it elsewhere need not repeat."""
_NETWORK = ("hidden_sizes", "separate")
"""What weights depend on."""


@dataclass(frozen=True)
class SavedRun:
    """The configuration of a run, and how to find its task."""

    values: Mapping[str, Any]
    """The resolved configuration, nested."""
    task_word: str
    """What ``task=`` must be."""
    playing: bool
    """Whether it is played, not trained."""

    def engine(self) -> str:
        """Returns the engine; for playing a run from a GPU, one that suits the machine."""
        if self.playing and str(self.values.get("sim_device", "")).startswith("cuda"):
            return "auto"
        return str(self.values["sim"]["engine"])

    def explicit(self, given: Mapping[str, str]) -> set[str]:
        """Returns the keys whose saved values are kept although they would follow from others."""
        keys = {"num_envs", "max_iterations"}
        if self.playing or "task.num_envs" in given:
            keys -= {"num_envs"}
        return keys - {"max_iterations"} if "train.max_iterations" in given else keys


def layers_of(
    saved: SavedRun | None,
    chosen: frozenset[str],
    task_name: str,
    engine: str,
) -> dict[str, Mapping[str, Any]]:
    """Returns a run's values by group: each takes the place of a file, or, as ``group+``, follows.

    Args:
        saved: The run, if there is one.
        chosen: Which of ``task``, ``train`` and ``sim`` the command line gives.
        task_name: Name of the task.
        engine: Name of the engine.
    """
    if saved is None:
        return {}
    values = saved.values
    left_out = {*_NEVER, *(_NOT_WHEN_PLAYING if saved.playing else ()), "task", "train", "sim"}
    layers: dict[str, Mapping[str, Any]] = {
        "": {key: value for key, value in values.items() if key not in left_out}
    }
    same_task = task_name == values["task"]["name"]
    if same_task and "task" not in chosen:
        layers["task"] = values["task"]
    if "train" not in chosen and same_task:
        layers["train"] = values["train"]
    else:
        layers["train+"] = {key: values["train"][key] for key in _NETWORK}
    if engine == values["sim"]["engine"]:
        layers["sim"] = values["sim"]
    return layers


def differences(saved: SavedRun, config: Config) -> list[str]:
    """Returns a line for each value of a configuration that is not the saved run's."""
    left_out = {*_NEVER, *(_NOT_WHEN_PLAYING if saved.playing else ())}
    if saved.playing:
        left_out |= {"max_iterations"}
    theirs, ours = _leaves(saved.values), _leaves(asdict(config))
    missing = object()
    lines = []
    for key in sorted(theirs.keys() | ours.keys()):
        was, now = theirs.get(key, missing), ours.get(key, missing)
        if key.partition(".")[0] in left_out or was == now:
            continue
        before = "not set" if was is missing else was
        after = "not set" if now is missing else now
        lines.append(f"unlike in the run: {key}={after} (the run has {before})")
    return lines


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
