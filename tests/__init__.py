"""Tests mirror the packages; contract/, property/ and integration/ cut across them."""
