"""Restorers: super-resolution, denoising, deblocking and inpainting, learned and classical, one file a paper."""
