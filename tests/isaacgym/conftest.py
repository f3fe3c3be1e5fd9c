"""Fixtures of the tests of Isaac Gym's API."""

from __future__ import annotations

import pytest


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    """The folder in which convex parts of meshes are kept, empty at first."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "rlgpu" / "convex_parts"
