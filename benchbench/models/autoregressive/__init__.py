"""Models that say how probable a pixel is after all that came before it, and what is built of them."""
