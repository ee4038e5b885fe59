"""`torchprimer repro`: the stages of a DVC pipeline, several at a time, in processes that start warm."""
