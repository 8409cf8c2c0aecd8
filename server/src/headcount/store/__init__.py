"""Where usage lives: one protocol, one module for each engine behind it."""
