"""What people look at. Reads records and images, never models."""
