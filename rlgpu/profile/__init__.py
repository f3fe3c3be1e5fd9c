"""Profiles the time of an iteration: ``rlgpu profile task=Ant``."""
