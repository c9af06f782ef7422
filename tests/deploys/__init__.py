"""What announces deploys, against servers that check every request as the service would."""
