"""Physical parameters that are drawn at resets, all of them together by the same few operations.

Parameters lie side by side in a row, an entry of one a column. A number is drawn for each column,
or for each parameter of which all entries share one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from rlgpu.config import Range, Span
from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.envs.randomization_config import Noise, Randomization, Spread, Varied
from rlgpu.errors import UsageError
from rlgpu.sim import SIGNED_PARAMETERS, Simulator

PARAMETER_OF: Mapping[str, str] = {
    "gravity": "gravity",
    "mass": "body_mass",
    "center_of_mass": "body_com",
    "friction": "friction",
    "stiffness": "drive_stiffness",
    "damping": "drive_damping",
    "joint_damping": "joint_damping",
    "armature": "joint_armature",
}
"""The simulator's parameter behind each that can vary."""
_LEAST_MASS = 0.01
"""Share of a body's mass that a Gaussian number leaves at least."""


def varied(settings: Randomization) -> dict[str, Varied]:
    """Returns the parameters that vary, by the simulator's names.

    Raises:
        UsageError: A range is not two numbers in order.
    """
    chosen = {parameter: getattr(settings, key) for key, parameter in PARAMETER_OF.items()}
    for key in (*PARAMETER_OF, "observations", "actions"):
        _check(f"task.randomization.{key}", getattr(settings, key))
    return {parameter: spread for parameter, spread in chosen.items() if spread.range}


def _check(key: str, spread: Spread) -> None:
    is_gaussian = spread.distribution == "gaussian"
    ranges = {"range": spread.range}
    if isinstance(spread, Noise):
        ranges["range_correlated"] = spread.range_correlated
    for name, values in ranges.items():
        if not values:
            continue
        _check_range(f"{key}.{name}", values, is_gaussian=is_gaussian)
        if spread.distribution == "loguniform" and values[0] <= 0.0:
            said = f"{key}.{name}={values}: a loguniform range must be above 0"
            full, above = f"{key}.{name}", Range(0.0, above=True)
            raise UsageError(said, key=full, value=values, allowed=[above])


def _check_range(key: str, values: list[float], *, is_gaussian: bool) -> None:
    if len(values) != 2 or (not is_gaussian and values[0] > values[1]):
        said = f"{key}={values}: give two numbers, the smaller one first"
        raise UsageError(said, key=key, value=values, allowed=[Span()])
    if is_gaussian and values[1] < 0.0:
        said = f"{key}={values}: a standard deviation, the second, is at least 0"
        raise UsageError(said, key=key, value=values, allowed=[Range(0.0)])


class VariedParameters:
    """Draws new values of the parameters that vary, and writes them."""

    def __init__(self, settings: Randomization, sim: Simulator) -> None:
        """Keeps the asset's values, which numbers are added to or factors of.

        Args:
            settings: What varies.
            sim: Its scene lets the parameters vary.

        Raises:
            UsageError: A body or joint has an unknown name, or a range takes a mass or another
                parameter below zero.
        """
        self._sim, self._varied = sim, varied(settings)
        self.names = tuple(self._varied)
        """The simulator's parameters that vary."""
        self._shapes = {name: sim.parameters[name].shape[1:] for name in self._varied}
        self._widths = [math.prod(shape) for shape in self._shapes.values()]
        self._original = self._read(ALL_ROWS).clone()
        spreads = list(self._varied.values())
        self._is_chosen = self._row([x for name in self._varied for x in self._chosen(name)])
        self._scales = self._columns([spread.operation == "scaling" for spread in spreads])
        self._drawn_once = self._columns([spread.setup_only for spread in spreads])
        self._is_scheduled = any(spread.schedule != "none" for spread in spreads)
        self._any_drawn_once = any(spread.setup_only for spread in spreads)
        self._least = self._refuse_negative() if self._varied else None
        # Which number each column takes: its own, or one that all of its parameter's take.
        place: list[int] = []
        drawn: list[Spread] = []
        for spread, width in zip(spreads, self._widths, strict=True):
            count = 1 if spread.per_robot else width
            place += [len(drawn) + min(i, count - 1) for i in range(width)]
            drawn += [spread] * count
        self._draws = Draws(drawn, sim.device)
        self._number = self._row(place) if len(drawn) < len(place) else None

    def _row(self, values: Iterable[float]) -> Tensor:
        return torch.tensor(list(values), device=self._sim.device)

    def _columns(self, values: Iterable[float]) -> Tensor:
        """Returns a row with each parameter's value in all of its columns, shape [W]."""
        parts = zip(values, self._widths, strict=True)
        return self._row(x for value, width in parts for x in [value] * width)

    def _names_of(self, name: str) -> tuple[str, ...]:
        """Returns the names of the bodies or joints that a parameter belongs to; may be empty."""
        sim = self._sim
        names = {"body": sim.body_names, "joint": sim.joint_names, "drive": sim.joint_names}
        return names.get(name.split("_", maxsplit=1)[0], ())

    def _chosen(self, name: str) -> list[bool]:
        """Returns which entries of a parameter vary, as a flat list."""
        only, known = self._varied[name].only, self._names_of(name)
        if unknown := [x for x in only if x not in known]:
            allowed = ", ".join(known) or "none can be chosen here"
            key = next(key for key, parameter in PARAMETER_OF.items() if parameter == name)
            raise UsageError(
                f"task.randomization: {unknown[0]} is not one of {allowed}",
                key=f"task.randomization.{key}.only",
                value=unknown[0],
                allowed=known,
            )
        width = math.prod(self._shapes[name])
        if not only:
            return [True] * width
        return [x in only for x in known for _ in range(width // len(known))]

    def _refuse_negative(self) -> Tensor | None:
        """Refuses ranges below zero; returns the least values if Gaussian numbers need them, [W].

        Gaussian numbers have no bounds: those below the least value are clamped.
        """
        least, is_unbounded = torch.full_like(self._original[0], -math.inf), False
        widths = zip(self._varied.items(), self._widths, strict=True)
        start = 0
        for (name, spread), width in widths:
            columns = slice(start, start + width)
            start += width
            if name in SIGNED_PARAMETERS:
                continue
            own = self._original[0, columns]
            floor = _LEAST_MASS * own if name == "body_mass" else torch.zeros_like(own)
            least[columns] = floor
            number = spread.range[0]
            lowest = own * number if spread.operation == "scaling" else own + number
            is_low = (lowest < 0.0) | ((lowest <= 0.0) & (floor > 0.0))
            # A gain of zero may be that of a joint without a drive, where it is ignored.
            is_ignored = (own == 0.0) & name.startswith("drive_")
            is_unbounded |= spread.distribution == "gaussian" or bool((is_low & is_ignored).any())
            if bool((is_low & ~is_ignored & self._is_chosen[columns]).any()):
                self._refuse(name, spread, own, lowest)
        return least if is_unbounded else None

    def _refuse(self, name: str, spread: Varied, own: Tensor, lowest: Tensor) -> None:
        """Names a value that a range takes below zero.

        Raises:
            UsageError: Always.
        """
        key = next(key for key, parameter in PARAMETER_OF.items() if parameter == name)
        is_chosen = torch.tensor(self._chosen(name), device=lowest.device)
        entry = int(lowest.where(is_chosen, math.inf).argmin())
        names = self._names_of(name)
        whose = f" of {names[entry]}" if len(names) == len(own) else ""
        wanted = "above zero" if name == "body_mass" else "at least zero"
        raise UsageError(
            f"task.randomization.{key}.range={spread.range}: it takes the {name}{whose} from "
            f"{float(own[entry]):g} to {float(lowest[entry]):g}, which must be {wanted}; use a "
            f"smaller range, operation=scaling, or only=[...] to choose parts",
            key=f"task.randomization.{key}.range",
            value=spread.range,
        )

    def _read(self, rows: Rows) -> Tensor:
        """Returns the current values of some environments, shape [R, W]."""
        values = [self._sim.parameters[name][rows].flatten(1) for name in self._varied]
        return torch.cat(values, dim=1) if values else torch.zeros(0, 0)

    def draw(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """Returns numbers for the columns of some environments, shape [R, W]."""
        numbers = self._draws(num_rows, generator)
        return numbers if self._number is None else numbers[:, self._number]

    def write(self, rows: Rows, numbers: Tensor, steps: Tensor, first: Tensor, due: Tensor) -> None:
        """Gives environments that are due their new parameters.

        Args:
            rows: The environments, R of them.
            numbers: What ``draw`` returned for them.
            steps: Control steps so far, for schedules, shape [].
            first: Whether it is an environment's first time, shape [R], bool.
            due: Whether an environment gets new values, shape [R], bool.
        """
        if self._is_scheduled:
            shares = zip(self._varied.values(), self._widths, strict=True)
            share = torch.cat([share_of(spread, steps).expand(width) for spread, width in shares])
            none = self._scales.float()
            numbers = none + share * (numbers - none)
        original = self._original[rows]
        new = torch.where(self._scales, original * numbers, original + numbers)
        if self._least is not None:
            new = new.maximum(self._least)
        changes = due[:, None] & self._is_chosen
        if self._any_drawn_once:
            changes = changes & (first[:, None] | ~self._drawn_once)
        parts = torch.where(changes, new, self._read(rows)).split(self._widths, dim=1)
        values = {
            name: part.view(len(part), *shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }
        self._sim.set_parameters(values, rows)


class Draws:
    """Draws numbers of several distributions side by side."""

    def __init__(self, spreads: Sequence[Spread], device: torch.device) -> None:
        """Reads the distributions, one for each column."""
        limits = torch.tensor([_limits(spread) for spread in spreads], device=device).view(-1, 2)
        self._first, self._span = limits.unbind(-1)
        kinds = [spread.distribution for spread in spreads]
        self._is_gaussian = torch.tensor([kind == "gaussian" for kind in kinds], device=device)
        self._is_log = torch.tensor([kind == "loguniform" for kind in kinds], device=device)
        self._kinds = set(kinds)

    def __call__(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """Returns numbers, shape [R, columns]."""
        shape, device = (num_rows, len(self._first)), self._first.device
        drawn = torch.zeros(shape, device=device)
        if self._kinds - {"gaussian"}:
            drawn.uniform_(0.0, 1.0, generator=generator)
        if "gaussian" in self._kinds:
            normal = torch.randn(shape, generator=generator, device=device)
            drawn = torch.where(self._is_gaussian, normal, drawn)
        numbers = self._first + drawn * self._span
        return (
            torch.where(self._is_log, numbers.exp(), numbers)
            if "loguniform" in self._kinds
            else numbers
        )


def _limits(spread: Spread) -> tuple[float, float]:
    """Returns what a draw from (0, 1), or a standard normal one, is shifted and scaled by."""
    first, second = spread.range
    if spread.distribution == "gaussian":
        return first, second
    if spread.distribution == "loguniform":
        first, second = math.log(first), math.log(second)
    return first, second - first


def share_of(spread: Spread, steps: Tensor) -> Tensor:
    """Returns how much of a randomisation is in effect after some steps, from 0 to 1, shape []."""
    if spread.schedule == "linear":
        return (steps.float() / max(spread.schedule_steps, 1)).clamp(max=1.0)
    if spread.schedule == "constant":
        return (steps > spread.schedule_steps).float()
    return torch.ones_like(steps, dtype=torch.float32)
