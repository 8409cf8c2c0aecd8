"""What the descriptions of both addresses are made with: OpenAPI's parts, samples, and examples.

Takes shapes, values and requests, gives plain JSON values and code to copy. Knows no operation.

    parts      references, schemas, headers, bodies
    samples    a sample of a shape
    examples   a request as a curl command and as a Python program
"""

from headcount.openapi.examples import THIS_MONTH, TODAY, Call, Computed, in_curl, in_python
from headcount.openapi.parts import bodies, code_samples, headers, reference, schemas, statuses
from headcount.openapi.samples import Samples

__all__ = [
    "THIS_MONTH",
    "TODAY",
    "Call",
    "Computed",
    "Samples",
    "bodies",
    "code_samples",
    "headers",
    "in_curl",
    "in_python",
    "reference",
    "schemas",
    "statuses",
]
