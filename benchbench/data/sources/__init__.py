"""Images that somebody has in files: what a user may write for them (`spec`), what can be asked of each (`files`), and
one file for each kind of source."""
