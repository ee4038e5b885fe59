"""One file per kind of data: how raw files become a split, and a split becomes arrays."""
