"""Ways of masking personal data, one file each."""
