"""The viewer and cameras, drawn by MuJoCo."""
