"""The codecs of the payload formats: they convert events and responses to HTTP and back."""
