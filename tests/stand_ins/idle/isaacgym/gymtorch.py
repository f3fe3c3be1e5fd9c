"""Never ends, as NVIDIA's where a killed build has left its lock file; nothing may import it."""

import time

time.sleep(1e6)
