"""The verbs of the human study as functions; `benchbench.study` names them."""
