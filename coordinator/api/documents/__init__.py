"""What travels over the API: bodies as they are decoded, answers as they are promised by the OpenAPI document."""
