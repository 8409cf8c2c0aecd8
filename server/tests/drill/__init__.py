"""The drill: three nodes over a real engine, under load, while all of it is killed and lost."""
