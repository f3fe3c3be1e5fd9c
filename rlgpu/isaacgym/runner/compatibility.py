"""What old scripts expect of NumPy, torch and gym, and stand-ins for modules not installed."""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch

from rlgpu.isaacgym.runner.notes import Notes
from rlgpu.isaacgym.runner.scripting import replace_function, use_numbers_as_conditions

_NUMPY = {
    "float": float, "int": int, "object": object, "complex": complex, "str": str, "bool8": np.bool_,
    "float_": np.float64, "complex_": np.complex128, "unicode_": np.str_, "string_": np.bytes_,
    "Inf": np.inf, "infty": np.inf, "PINF": np.inf, "NINF": -np.inf, "NaN": np.nan, "NAN": np.nan,
    "product": np.prod, "cumproduct": np.cumprod, "alltrue": np.all, "sometrue": np.any,
    "row_stack": np.vstack, "in1d": np.isin,
    "asfarray": lambda a, dtype=float: np.asarray(a, dtype), "msort": lambda a: np.sort(a, axis=0),
}  # fmt: skip
"""Names that NumPy has dropped since 1.20."""


def bring_back(notes: Notes) -> None:
    """Gives this process what old scripts expect.

    Args:
        notes: Gets a remark where a script inverts a singular matrix.
    """
    for name, value in _NUMPY.items():
        if name not in np.__dict__:
            setattr(np, name, value)
    if "trapz" not in np.__dict__:
        np.trapz = np.trapezoid  # type: ignore[attr-defined]
    for name, function in _torch_functions().items():
        if not hasattr(torch, name) or name in ("symeig", "solve", "lstsq", "eig"):
            setattr(torch, name, function)
    replace_function("inverse", _inverse(torch.inverse, notes))
    use_numbers_as_conditions()
    torch.nn.RNNBase.__init__ = _with_plain_sizes(torch.nn.RNNBase.__init__)  # type: ignore[method-assign]
    # Old checkpoints hold more than weights, and old scripts load their own.
    os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    if importlib.util.find_spec("gym") is None and importlib.util.find_spec("gymnasium"):
        sys.meta_path.insert(0, _GymByGymnasium())
        # gymnasium remarks on every space that an old script makes from float64 limits.
        warnings.filterwarnings("ignore", message=".*precision lowered by casting.*")


def _inverse(exact: Callable[..., torch.Tensor], notes: Notes) -> Callable[..., torch.Tensor]:
    """Returns ``torch.inverse`` that adds rounding to singular matrices of single precision.

    A straight arm's Jacobian has rows of exact zeros here. PhysX's has rounding errors there, so
    scripts that invert what they make of it do not stop.
    """

    @functools.wraps(exact)
    def inverse(input: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        try:
            return exact(input, **kwargs)
        except RuntimeError as error:
            # torch's types do not export this one.
            if not isinstance(error, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
                raise
            singular = torch.linalg.inv_ex(input.detach()).info > 0
            largest = input.detach().abs().amax(dim=(-2, -1))
            if input.dtype != torch.float32 or not (largest[singular] > 0).all():
                raise
            notes.add("a script inverts a singular matrix; rounding is added, as PhysX has it")
            rounding = torch.where(singular, torch.finfo(input.dtype).eps * largest, 0.0)
            identity = torch.eye(input.shape[-1], dtype=input.dtype, device=input.device)
            return exact(input + rounding[..., None, None] * identity, **kwargs)

    return inverse


def _with_plain_sizes(create: Callable[..., None]) -> Callable[..., None]:
    """Returns a constructor of recurrent layers that takes NumPy's integers as sizes."""

    def plain(value: Any) -> Any:
        return int(value) if isinstance(value, np.integer) else value

    @functools.wraps(create)
    def init(self: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        create(self, *map(plain, args), **{name: plain(value) for name, value in kwargs.items()})

    return init


def _torch_functions() -> dict[str, Any]:
    """Returns functions that torch has renamed, with their old arguments."""
    linalg = torch.linalg

    def symeig(a: torch.Tensor, eigenvectors: bool = False, upper: bool = True) -> Any:
        return linalg.eigh(a, UPLO="U" if upper else "L")

    def solve(b: torch.Tensor, a: torch.Tensor) -> Any:
        return linalg.solve(a, b), a

    def lstsq(b: torch.Tensor, a: torch.Tensor) -> Any:
        return linalg.lstsq(a, b).solution, a

    return {"symeig": symeig, "solve": solve, "lstsq": lstsq}


class _GymByGymnasium(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``gym`` and its modules in gymnasium."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns a spec for ``gym`` and what is in it."""
        if fullname != "gym" and not fullname.startswith("gym."):
            return None
        try:
            known = importlib.util.find_spec(f"gymnasium{fullname[3:]}")
        except ModuleNotFoundError:
            known = None
        return importlib.machinery.ModuleSpec(fullname, self) if known else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Returns gymnasium's module itself, so that types agree."""
        return importlib.import_module(f"gymnasium{spec.name[3:]}")

    def exec_module(self, module: ModuleType) -> None:
        """Does nothing: the module has run."""


def use_placeholders(notes: Notes) -> None:
    """Puts stand-ins in place of modules that scripts import and that are not installed.

    Args:
        notes: Gets a remark for each of them.
    """
    sys.meta_path.append(_Placeholders(notes))


@contextmanager
def placeholders(notes: Notes) -> Iterator[None]:
    """Does so for the length of a block."""
    finder = _Placeholders(notes)
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Placeholders(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what nothing else finds, for code that is not in a library."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns a spec if a script, not a library, is importing."""
        parent = sys.modules.get(fullname.partition(".")[0])
        inside = isinstance(parent, _Missing)
        if not inside and (parent is not None or _in_library(_importer())):
            return None
        if not inside:
            self._notes.add(f"{fullname} is not installed; a placeholder raises when it is used")
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Returns a stand-in."""
        return _Missing(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Does nothing."""


class _Missing(ModuleType):
    """Stands in for a module that is not installed; its names can be imported, not used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _unusable(f"{self.__name__}.{name}")


def _unusable(name: str) -> type:
    """Returns a class that can be a base or an annotation, and raises when it is used."""

    class Meta(type):
        def __getattr__(cls, attribute: str) -> Any:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            return _unusable(f"{name}.{attribute}")

        def __call__(cls, *_args: object, **_kwargs: object) -> Any:
            raise ModuleNotFoundError(
                f"{name} is used here, and {name.partition('.')[0]} is not installed; pip install "
                "it, or avoid what needs it"
            )

    return Meta(name.rpartition(".")[2], (), {})


def _importer() -> str:
    """Returns the file of the code that is importing."""
    frame = sys._getframe(1)
    while frame and (
        "importlib" in frame.f_code.co_filename or frame.f_code.co_filename == __file__
    ):
        if frame.f_back is None:
            break
        frame = frame.f_back
    return frame.f_code.co_filename


def _in_library(file: str) -> bool:
    """Returns whether a file belongs to an installed library or Python itself."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    inside = "site-packages" in file or "dist-packages" in file
    return inside or any(file.startswith(folder) for folder in folders) or file.startswith("<")
