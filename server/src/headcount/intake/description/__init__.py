"""What the tracking address says about itself.

document    the OpenAPI document, made from routes, reasons and shapes
shapes      what messages and answers look like
"""

from headcount.intake.description.document import tracking_document

__all__ = ["tracking_document"]
