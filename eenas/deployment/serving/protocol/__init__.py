"""The messages of the Open Inference Protocol over gRPC."""
