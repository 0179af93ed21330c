"""Learned policies: small gates that decide at each exit, trained on calibration; NumPy only."""
