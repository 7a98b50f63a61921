"""A content in the style of a picture."""
