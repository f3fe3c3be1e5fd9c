"""Entry of the worker process: imports this package, whose folder is not on Python's path."""

import os
import sys

if __name__ == "__main__":
    # Python put this folder first; its modules belong to the package ``worker`` in the one above.
    sys.path[0] = os.path.dirname(os.path.abspath(sys.path[0]))
    from worker.serve import main

    del sys.path[0]  # other modules of rlgpu lie there
    main([int(word) for word in sys.argv[1:]])
