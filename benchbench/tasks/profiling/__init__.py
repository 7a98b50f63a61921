"""What a profile measures: clocks, curves by batch size, memory alone, energy, and the machine's own limits."""
