"""The command line: ``rlgpu COMMAND ...``, and ``train.py`` for ``rlgpu train``."""

from rlgpu.cli.main import main
from rlgpu.cli.train import train

__all__ = ["main", "train"]
