"""What is trained on (plain, DA, SLA) and how joint logits become a prediction (SI, AG)."""
