"""The classic first experiments of deep learning as one reproducible pipeline."""

import os

# Threads of PyTorch that wait for each other sleep instead of spinning: another busy process would make each wait long.
# OpenMP reads it when PyTorch is imported; whoever sets it to ACTIVE gets ACTIVE.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
