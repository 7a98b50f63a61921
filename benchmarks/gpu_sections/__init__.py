"""What `benchmarks/gpu.py` runs: sections in processes of their own, and what travels to the machine they run on."""
