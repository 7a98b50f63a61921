"""Every verb of the command line as a function, one file a verb: what the command and `import benchbench` share.

`run` and `evaluate` are `runner.run` and `runner.evaluate` themselves.
"""
