"""What may befall a whole service, and how to know that nothing was lost: for `make chaos` and `make soak`."""
