"""The checks that AWS makes before it invokes the function (signatures, CORS), and the authorizer's context."""
