"""``python -m rlgpu.sim.accept``."""

from __future__ import annotations

import pytest

from rlgpu.sim.accept import main
from tests.conftest import ROOT


@pytest.mark.parametrize("name", ["ant", "cartpole"])
def test_the_tasks_assets_are_simulated(name, capsys) -> None:
    """Exit code 0."""
    assert main([str(ROOT / "tasks" / "assets" / f"{name}.xml")]) == 0
    assert "sim=fused simulates" in capsys.readouterr().out


def test_all_reasons_are_listed(tmp_path, capsys) -> None:
    """One line each, and exit code 1."""
    asset = tmp_path / "robot.xml"
    asset.write_text("""<mujoco><option cone="elliptic"/><worldbody><body><joint type="ball"/>
      <geom size=".1"/></body></worldbody></mujoco>""")
    assert main([str(asset)]) == 1
    printed = capsys.readouterr().out
    assert "- its friction cones are elliptic" in printed
    assert "is a ball joint" in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no file"), ("<mujoco><nonsense/></mujoco>", "MuJoCo cannot load")],
)
def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path, capsys, content, message) -> None:
    """Exit code 2, and the reason; without a file name, the usage."""
    asset = tmp_path / "robot.xml"
    if content:
        asset.write_text(content)
    assert main([str(asset)]) == 2
    assert message in capsys.readouterr().err
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
