"""The conformance kit: does a component do what its contract and its docstring say? For its author, and for the zoo."""
