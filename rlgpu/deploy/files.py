"""Writes a policy as files that other programs run: ONNX and TorchScript."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rlgpu.deploy.policy import DeployedPolicy, Reordered
from rlgpu.errors import UsageError

INSTALL = "pip install onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0"
OPSET = 18
"""Version of ONNX's operators; onnxruntime 1.14 and later have it."""


def write_torchscript(policy: DeployedPolicy, path: Path) -> None:
    """Writes a TorchScript file, which ``torch.jit.load`` and LibTorch open."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; deployments read it still
        traced = torch.jit.trace(policy, policy.examples(2))
        traced.save(str(path))


def write_onnx(
    policy: DeployedPolicy | Reordered, path: Path, metadata: Mapping[str, str], rows: int = 0
) -> None:
    """Writes an ONNX file.

    Args:
        policy: The policy.
        path: The file.
        metadata: Texts by name that the file carries.
        rows: Number of rows that it takes, for programs that want a number; 0 is any.

    Raises:
        UsageError: The packages that write it are not installed.
    """
    try:
        import onnx  # noqa: PLC0415
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        said = f"policy.onnx needs the packages onnx and onnxscript; {INSTALL}"
        raise UsageError(said, key="policy.onnx") from error
    signature, batch = policy.signature, torch.export.Dim("batch", min=1)
    of_memory = tuple({1: batch} for _ in signature.inputs[1:])
    shapes = ({0: batch}, of_memory) if of_memory else ({0: batch},)
    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            policy,
            policy.examples(rows or 2),
            input_names=list(signature.inputs),
            output_names=list(signature.outputs),
            dynamic_shapes=None if rows else shapes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for name, text in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, text
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


@contextlib.contextmanager
def _quietly() -> Any:
    """Silences what the exporter says of packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
