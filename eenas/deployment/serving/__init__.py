"""The server of exported models, which answers requests of the Open Inference Protocol over HTTP and gRPC."""
