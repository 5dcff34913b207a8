"""The contract between the API and the workers. No torch, no HTTP."""
