"""Profiles the time of an iteration: ``python -m rlgpu.profile task=Ant``."""
