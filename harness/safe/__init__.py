"""What an engine or a stranger wrote, without trust.

`files` opens and removes it, `arrays` reads NumPy's formats from it, `text` shows it. Nothing else
in the harness touches a file that could have been put there by somebody else.
"""
