"""Diffusion models and flows: one U-Net, what it is asked, and how images are drawn from it."""
