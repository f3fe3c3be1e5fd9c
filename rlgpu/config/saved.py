"""A saved run's configuration, as the starting point of another: resumed, played or repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, NamedTuple

from rlgpu.config.keys import leaves
from rlgpu.config.old_names import RENAMED_VALUES
from rlgpu.config.schema import NETWORK_KEYS, Config
from rlgpu.config.task_file import task_name
from rlgpu.errors import UsageError

_NEVER = ("test", "checkpoint", "weights_only", "run")
"""What only the command line says."""
_NOT_WHEN_PLAYING = (
    "num_envs",
    "headless",
    "games",
    "capture_video",
    "capture_video_freq",
    "capture_video_len",
    "sim_device",
    "rl_device",
)
"""How a run trained, which playing it elsewhere need not repeat."""
_DEVICES = ("sim_device", "rl_device")
_NEEDED = {"task": ("name",), "train": ("hidden_sizes", "separate"), "sim": ("engine",)}


@dataclass(frozen=True)
class SavedRun:
    """The configuration of a run, and how to find its task."""

    values: Mapping[str, Any]
    """The resolved configuration, nested."""
    task_word: str
    """What ``task=`` must be."""
    playing: bool
    """Whether it is played, not trained."""

    @classmethod
    def read(cls, values: Any, origin: Any, *, playing: bool, source: str) -> SavedRun:
        """Returns a saved run after checking that it is one.

        Args:
            values: Its configuration, nested.
            origin: Where it comes from, with the word for its task.
            playing: Whether it is played, not trained.
            source: The key and value that name it, for the refusal.

        Raises:
            UsageError: Something in it is missing.
        """
        whole = isinstance(values, Mapping) and isinstance(origin, Mapping)
        whole = whole and isinstance(origin.get("task"), str)
        for group, names in _NEEDED.items():
            part = values.get(group) if whole else None
            whole = isinstance(part, Mapping) and all(name in part for name in names)
        if not whole or task_name(origin["task"]) != values["task"]["name"]:
            key, _, value = source.partition("=")
            said = f"{source}: it is not the configuration of a run of rlgpu"
            raise UsageError(said, key=key, value=value)
        renamed = {key: now for (key, old), now in RENAMED_VALUES.items() if values.get(key) == old}
        return cls({**values, **renamed}, origin["task"], playing)

    def engine(self) -> str:
        """Returns the engine; for playing a run from a GPU, one that suits the machine."""
        if self.playing and str(self.values.get("sim_device", "")).startswith("cuda"):
            return "auto"
        return str(self.values["sim"]["engine"])

    def explicit(self, given: Mapping[str, str]) -> set[str]:
        """Returns the keys whose saved values are kept although they would follow from others."""
        keys = {"num_envs", "max_iterations"} & set(self.values)
        if self.playing or "task.num_envs" in given:
            keys -= {"num_envs"}
        return keys - {"max_iterations"} if "train.max_iterations" in given else keys


class SavedLayers(NamedTuple):
    """The values of a saved run that a new one starts from."""

    instead: Mapping[str, Mapping[str, Any]]
    """Values that take the place of files: of ``config.yaml``, under an empty string, and of those
    of ``task``, ``train`` and ``sim``."""
    network: Mapping[str, Any]
    """Values that follow the file of training values, so that the run's weights fit."""


def layers_of(
    saved: SavedRun | None,
    chosen: frozenset[str],
    task_name: str,
    engine: str,
) -> SavedLayers:
    """Returns the values of a saved run that count.

    Args:
        saved: The run, if there is one.
        chosen: Which of ``task``, ``train`` and ``sim`` the command line gives.
        task_name: Name of the task.
        engine: Name of the engine.
    """
    if saved is None:
        return SavedLayers({}, {})
    values = saved.values
    left_out = {*_NEVER, *(_NOT_WHEN_PLAYING if saved.playing else ()), "task", "train", "sim"}
    same_engine = engine == values["sim"]["engine"]
    if not same_engine:
        left_out |= {*_DEVICES}
    network: Mapping[str, Any] = {}
    instead: dict[str, Mapping[str, Any]] = {
        "": {key: value for key, value in values.items() if key not in left_out}
    }
    same_task = task_name == values["task"]["name"]
    if same_task:
        instead["task"] = values["task"]
    if same_task and "train" not in chosen:
        instead["train"] = values["train"]
    else:
        network = {key: values["train"][key] for key in NETWORK_KEYS if key in values["train"]}
    if same_engine:
        instead["sim"] = values["sim"]
    return SavedLayers(instead, network)


def plain(config: Any) -> dict[str, Any]:
    """Returns a configuration as nested values that YAML and checkpoints can hold."""

    def simple(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): simple(part) for key, part in value.items()}
        if isinstance(value, list | tuple | set):
            return [simple(part) for part in value]
        if isinstance(value, Enum):
            return value.name
        return value if isinstance(value, bool | int | float | str | None) else str(value)

    values: dict[str, Any] = simple(asdict(config))
    return values


def differences(saved: SavedRun, config: Config) -> list[str]:
    """Returns a line for each value of a configuration that is not the saved run's."""
    left_out = {*_NEVER, *(_NOT_WHEN_PLAYING if saved.playing else ())}
    if saved.playing:
        left_out |= {"max_iterations"}
    theirs, ours = leaves(saved.values), leaves(plain(config))
    missing = object()
    lines = []
    if (before := saved.values.get("checkpoint")) and not config.checkpoint:
        lines.append(f"unlike in the run: from the beginning (the run went on from {before})")
    for key in sorted(theirs.keys() | ours.keys()):
        was, now = theirs.get(key, missing), ours.get(key, missing)
        if key.partition(".")[0] in left_out or was == now:
            continue
        before = "not set" if was is missing else was
        after = "not set" if now is missing else now
        lines.append(f"unlike in the run: {key}={after} (the run has {before})")
    return lines
