"""The stores of artifacts: a folder, a bucket of S3 or Google Cloud Storage, or a user's own."""
