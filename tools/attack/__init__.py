"""What an attacker would try over HTTP, tried on a running copy of one's own."""
