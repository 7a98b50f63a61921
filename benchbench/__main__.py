"""`python -m benchbench`, where the console script is not on the path."""

import os
import sys

# Python puts the working directory before everything else: a torch.py that lies there would be run in place of torch.
if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]

from benchbench.cli import main

if __name__ == "__main__":
    main()
