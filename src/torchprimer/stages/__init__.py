"""The stages of dvc.yaml, one module each, all with `run(params, ...)`: read, call, write, track."""
