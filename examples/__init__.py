"""What users copy."""
