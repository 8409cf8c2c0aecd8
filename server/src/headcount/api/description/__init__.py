"""What the API says about itself: the OpenAPI document, and a page for people made from it."""
