"""From the logits of the views of an image to a prediction: for episodes, batches and pictures of one's own."""
