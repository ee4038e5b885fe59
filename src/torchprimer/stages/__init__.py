"""The stages of dvc.yaml, one module each, all with `run(item)`: read, call, write, track."""
