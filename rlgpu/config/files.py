"""Python files of the user's, imported by their paths."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load_module(file: Path) -> ModuleType:
    """Returns the module of a file; what lies beside the file can be imported by it.

    It is executed again each time.

    Raises:
        ImportError: It is not a Python file.
    """
    path = file.resolve()
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(f"rlgpu_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module by name
    spec.loader.exec_module(module)
    return module
