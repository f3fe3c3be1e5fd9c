"""Every engine in turn, for the tests of the behaviour that all of them share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlgpu.sim import ENGINES, SceneSpec, Timing, make_simulator
from tests.sim.states import FINE

ON_CPU = [(engine, "cpu") for engine in ENGINES]
ON_GPU = [
    pytest.param((engine, "cuda:0"), marks=pytest.mark.cuda)
    for engine, entry in ENGINES.items()
    if "cuda" in entry.devices
]


@pytest.fixture(params=[*ON_CPU, *ON_GPU], ids=lambda where: f"{where[0]}-{where[1]}")
def make(request, tmp_path: Path):
    """Returns a function that builds the engine from MJCF text, on a device."""
    engine, device = request.param

    def build(mjcf: str, n: int = 3, timing: Timing = FINE, **scene):
        asset = tmp_path / "robot.xml"
        asset.write_text(mjcf)
        scene.setdefault("drives", {})
        where = torch.device(device)
        return make_simulator(engine, SceneSpec(asset=asset, **scene), timing, n, device=where)

    with torch.device(device):  # where the tests' own tensors go
        yield build
