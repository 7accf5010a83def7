"""What pages are built of: the document and its style, charts as SVG, confusions as tables."""
