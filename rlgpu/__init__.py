"""Robotics reinforcement learning across thousands of parallel environments."""

__version__ = "0.1.0"
