"""States that differ from the kernels' by edits."""
