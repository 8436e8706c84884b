"""The codecs of the payload formats, for both directions."""
