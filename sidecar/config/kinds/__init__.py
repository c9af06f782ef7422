"""The kinds of a value in the configuration: how the text of one scalar becomes it."""
