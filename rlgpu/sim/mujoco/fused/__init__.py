"""The fused engine: MuJoCo's physics in rlgpu's own kernels, many worlds per vector."""
