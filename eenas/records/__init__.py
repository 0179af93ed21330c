"""Records: what is kept in the database and as artifacts."""
