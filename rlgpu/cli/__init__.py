"""The command line: what ``train.py`` does with its arguments."""

from rlgpu.cli.main import main

__all__ = ["main"]
