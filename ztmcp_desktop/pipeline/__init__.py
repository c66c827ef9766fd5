"""The gate, and one module a stage; stages do not know each other."""
