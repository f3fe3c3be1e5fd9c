"""rlgpu: robotics reinforcement learning across thousands of parallel environments."""

import os

# Otherwise idle OpenMP threads spin and slow down the simulator's threads and other programs. The
# variable is read when torch is imported, so it is set before that; a value set by the user is
# kept.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
