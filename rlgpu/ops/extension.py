"""Loading of the compiled extension, with instructions for building it if it is missing."""

from __future__ import annotations

import importlib
from typing import Any

import torch

BUILD_COMMAND = "pip install --no-build-isolation -e ."


def load_extension(device: torch.device) -> Any:
    """Loads ``rlgpu._C`` so that ``torch.ops.rlgpu`` holds the ops.

    For the CPU it also makes this process reuse freed memory; otherwise mapping and zeroing memory
    takes a third of an update's time.

    Args:
        device: Device that the ops will run on.

    Returns:
        The module, for its functions other than the ops.

    Raises:
        RuntimeError: The extension is not built, or was built without CUDA and ``device`` is CUDA.
    """
    try:
        extension = importlib.import_module("rlgpu._C")
    except ImportError as error:
        raise RuntimeError(
            f"the compiled extension cannot be loaded ({error}). Build it with "
            f"`{BUILD_COMMAND}` in the project's folder, or use kernels=torch"
        ) from error
    if device.type == "cuda" and not extension.with_cuda:
        raise RuntimeError(
            "the compiled extension was built for the CPU only. Rebuild it with nvcc on PATH and "
            f"a CUDA build of torch: `{BUILD_COMMAND}`, or use kernels=torch"
        )
    if device.type == "cpu":
        extension.keep_freed_memory()
    return extension
