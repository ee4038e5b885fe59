"""The visible loops, and what they need: devices, optimisers, augmentation, checkpoints. No MLflow, no DVC."""
