"""An image that a page holds within itself."""

import base64
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedImage:
    """Encoded bytes with what they show; the description also serves those who can't see it."""

    title: str
    description: str
    media_type: str  # image/svg+xml or image/png
    content: bytes

    @property
    def uri(self) -> str:
        """The image as a `data:` address."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"
