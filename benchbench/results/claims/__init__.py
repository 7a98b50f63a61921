"""What people act on: verdicts, ranks, intervals, gates, and the one engine behind them."""
