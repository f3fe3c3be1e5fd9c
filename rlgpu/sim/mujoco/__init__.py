"""MuJoCo behind the ``Simulator`` protocol: worlds on MuJoCo C or MuJoCo Warp, one simulator."""
