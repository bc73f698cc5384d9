"""Loop code as LLVM IR, and that as machine code.

In: a plan of loop code. Out: a `Module` whose `run` is one native call. Only here is llvmlite.
"""
