"""Environments of Gymnasium as tasks: ``task=gym:CartPole-v1``. Importing this imports no torch."""
