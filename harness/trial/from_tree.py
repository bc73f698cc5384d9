"""An engine's file as a program of the tree it stands in: from_tree.py TREE FILE train --job JOB.

What FILE imports comes from TREE first (`myad`, `engines`, the contract), then from the interpreter
that runs this: so a commit's engine meets its own library and not the installed one.
"""

import runpy
import sys

if __name__ == "__main__":
    tree, file, *arguments = sys.argv[1:]
    sys.path.insert(0, tree)
    sys.argv = [file, *arguments]
    runpy.run_path(file, run_name="__main__")
