"""Settings of the command line that do nothing because of another setting."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from rlgpu.config.schema import Config
from rlgpu.errors import NoEffect
from rlgpu.spaces import ActionSpace, Discrete


class Needs(NamedTuple):
    """Keys that count only while another key has a certain value."""

    keys: str
    """A key, or with a dot at its end the start of keys."""
    other: str
    """The key that they need; it may be one of those that ``keys`` covers."""
    values: tuple[Any, ...] = ()
    """Values of it with which they count; empty: any but False, 0 and nothing."""


_SHARED = (
    Needs("task.hidden_from", "task.hidden"),
    Needs("train.dqn.", "algorithm", ("DQN",)),
    Needs("train.curiosity.", "train.curiosity.weight"),
    Needs("train.distillation.", "train.distillation.teacher"),
    Needs("train.adaptive_kl", "train.schedule", ("adaptive",)),
    Needs("train.adapt_from_start", "train.schedule", ("adaptive",)),
    Needs("train.max_learning_rate", "train.schedule", ("adaptive",)),
    Needs("train.min_learning_rate", "train.schedule", ("linear", "adaptive")),
    Needs("train.kl_backoff", "train.schedule", ("linear",)),
    Needs("train.memory_size", "train.memory", ("lstm", "gru")),
    Needs("train.memory_layers", "train.memory", ("lstm", "gru")),
    Needs("train.sequence_length", "train.memory", ("lstm", "gru")),
    Needs("task.actuators.no_load_speed", "task.actuators.model", ("dc_motor",)),
    Needs("task.actuators.stall_torque", "task.actuators.model", ("dc_motor",)),
    Needs("task.actuators.network.", "task.actuators.model", ("network",)),
    Needs("capture_video_freq", "capture_video"),
    Needs("capture_video_len", "capture_video"),
)
_SPREAD = "task.randomization."
_CONTINUOUS_ONLY = (
    "action_distribution",
    "bounds_loss_coef",
    "initial_log_std",
    "max_log_std",
    "min_log_std",
    "state_dependent_std",
)
"""Keys of ``train`` that only the distributions of continuous actions have."""


class Idle(str):
    """A warning of a key that does nothing here, as a line for the console."""

    key: str
    needs: str
    """The key, or ``key=value``, with which it would do something."""
    said: str
    """The sentence alone."""

    def __new__(cls, key: str, needs: str) -> Idle:
        """Returns the warning."""
        said = f"{key} does nothing without {needs}"
        warning = super().__new__(cls, f"warning: {said}")
        warning.key, warning.needs, warning.said = key, needs, said
        return warning


def check_idle(config: Config, given: Collection[str]) -> list[Idle]:
    """Returns warnings of settings that do nothing in this run.

    Args:
        config: The resolved configuration.
        given: Keys of the command line; values of files are ready to be switched on.

    Raises:
        NoEffect: The command line asks for randomisation, which is switched off or empty, or for
            something that the task's own environments do not do.
    """
    _check_unused(config, given)
    _check_randomization(config, given)
    own = getattr(type(config.task), "needs", ())
    warnings: list[Idle] = []
    for needs in (*_SHARED, *own):
        value = value_of(config, needs.other)
        if value in needs.values if needs.values else value:
            continue
        wanted = f"={needs.values[0]}" if needs.values else ""
        for key in sorted(given):
            if _covers(needs.keys, key) and key != needs.other:
                warnings.append(Idle(key, f"{needs.other}{wanted}"))
    return warnings


def check_actions(actions: ActionSpace, given: Collection[str], prefix: str = "train.") -> None:
    """Checks that no setting of continuous actions is given for discrete ones.

    Args:
        actions: The task's actions.
        given: Names of the keys that were given; files and presets may have any.
        prefix: Begins the name of a key of ``train``.

    Raises:
        NoEffect: One is.
    """
    if not isinstance(actions, Discrete):
        return
    names = [f"{prefix}{name}" for name in _CONTINUOUS_ONLY]
    if key := next((name for name in names if name in given), None):
        said = f"{key} does nothing here: the task's actions are discrete; leave it out"
        raise NoEffect(said, key=key, needs="continuous actions")


def _covers(keys: str, key: str) -> bool:
    return key == keys or key.startswith(f"{keys.removesuffix('.')}.")  # an entry of a mapping


def _check_unused(config: Config, given: Collection[str]) -> None:
    for keys in getattr(type(config.task), "unused", ()):
        if key := next((key for key in sorted(given) if _covers(keys, key)), None):
            raise NoEffect(
                f"{key} does nothing here: task={config.task.name} brings environments of its own; "
                "leave it out, and have these do it",
                key=key,
                needs="task",
            )


def _check_randomization(config: Config, given: Collection[str]) -> None:
    named = sorted(key for key in given if key.startswith(_SPREAD))
    if not hasattr(config.task, "randomization"):
        return
    if named and not config.task.randomize:
        said = f"{named[0]} does nothing without task.randomize=True; add it"
        raise NoEffect(said, key=named[0], needs="task.randomize=True")
    settings = config.task.randomization
    ranges = ("range", "range_correlated")
    spreads = {name: value for name, value in vars(settings).items() if hasattr(value, "range")}
    drawn = {name for name, x in spreads.items() if any(getattr(x, r, None) for r in ranges)}
    for key in named:
        name = key.removeprefix(_SPREAD).partition(".")[0]
        if name in spreads and name not in drawn:
            needs = f"{_SPREAD}{name}.range"
            raise NoEffect(f"{key} does nothing without {needs}; add it", key=key, needs=needs)
    is_asked = "task.randomize" in given and config.task.randomize
    if is_asked and not drawn and not settings.action_delay:
        raise NoEffect(
            "task.randomize=True does nothing: task.randomization names nothing to vary; add "
            "e.g. task.randomization.friction.range=[0.5,1.25]",
            key="task.randomize",
            value=True,
            needs="task.randomization",
        )


def value_of(config: Any, key: str) -> Any:
    """Returns the value of a key, None if this task or engine has none."""
    for name in key.split("."):
        config = getattr(config, name, None)
    return config
