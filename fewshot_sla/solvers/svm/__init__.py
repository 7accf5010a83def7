"""The dual of the multi-class support vector machine, solved by its structure."""
