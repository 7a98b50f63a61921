"""Looking at samples while training, and the alarm."""
