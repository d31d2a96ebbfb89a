"""The report: figures and a page made of what a results file holds; nothing is computed here."""
