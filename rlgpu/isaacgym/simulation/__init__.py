"""What the calls stand on: composed models, running worlds, tensors in Isaac Gym's layouts."""
