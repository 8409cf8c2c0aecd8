"""What the API says about itself: an OpenAPI document, made from the routes and their contracts."""
