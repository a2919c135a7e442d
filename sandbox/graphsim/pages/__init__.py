"""The simulator's pages: layout, mail program, overview."""
