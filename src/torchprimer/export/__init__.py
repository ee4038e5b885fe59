"""Exports: a trained model as ONNX, with its metadata and model card."""
