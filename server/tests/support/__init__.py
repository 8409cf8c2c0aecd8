"""What tests of several rooms are made with: servers, folders, oracles, and things that fail."""
