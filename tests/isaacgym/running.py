"""Runs scripts of Isaac Gym in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_script(tmp_path, text, *words, runner=()):
    """Runs a script through ``python -m rlgpu.isaacgym`` and returns the finished process."""
    script = tmp_path / "script.py"
    script.write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "rlgpu.isaacgym", *runner, str(script), *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
