"""What a call, proof, pin, limit and denial is. Imports nothing of ours."""
