"""A chat room for the terminal: the server, the client and the protocol between them."""
