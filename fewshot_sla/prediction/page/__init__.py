"""The page of predictions: one HTML file for a browser, a phone and a printer."""
