"""Where the time of an iteration goes: ``python -m rlgpu.profile task=Ant``."""
