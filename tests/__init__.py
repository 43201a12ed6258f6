"""One file for each module, and whole-program stories beside them."""
