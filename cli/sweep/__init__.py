"""`strata sweep`: one job with many settings, and what they do to its picture."""
