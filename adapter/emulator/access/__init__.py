"""What AWS decides before the function is invoked: signatures, key pairs, CORS, and the authorizer's context."""
