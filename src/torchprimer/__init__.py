"""The classic first experiments of deep learning as one reproducible pipeline."""
