"""Records: the contents of the database and the artifacts."""
