"""The HTTP edge: FastAPI, OpenAPI 3.1, RFC 9457."""
