"""`python -m benchbench`, where the console script is not on the path."""

from benchbench.cli import main

main()
