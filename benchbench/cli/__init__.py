"""The front door: Click, one file a verb."""

def main() -> None:
    raise SystemExit("under construction")
