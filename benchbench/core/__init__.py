"""The small vocabulary all rooms share. Nothing here knows of any other room."""
