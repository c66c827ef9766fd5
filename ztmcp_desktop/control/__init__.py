"""The control plane: what shows and changes the gateway, for the window, the command line and the socket alike."""
