"""Multinomial logistic regression in dual variables, by Newton's method."""
