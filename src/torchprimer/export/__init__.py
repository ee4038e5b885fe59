"""EvaluationContext models for use elsewhere."""
