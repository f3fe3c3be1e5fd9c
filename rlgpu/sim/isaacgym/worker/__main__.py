"""Entry of the worker process: makes this package importable, and nothing else beside it."""

import os
import sys

if __name__ == "__main__":
    # Python put this folder first; its modules belong to the package ``worker`` in the one above.
    sys.path[0] = os.path.dirname(os.path.abspath(sys.path[0]))
    from worker.serve import main

    main([int(word) for word in sys.argv[1:]])
