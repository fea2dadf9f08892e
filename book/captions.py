"""Alternative text for the book's figures: a figure's caption is also read aloud.

The chapters put a caption below each figure, a paragraph that begins in italics. Who
cannot see the picture gets the same words, or those after "Alt text:" where the caption
has them. An extension of Sphinx.
"""

from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


def caption_below(image: nodes.image) -> str:
    """The next paragraph that begins in italics, or its part after "Alt text:"."""
    seen = False
    for node in image.document.findall():
        seen = seen or node is image
        if seen and isinstance(node, nodes.paragraph) and node.children:
            first = node.children[0]
            if isinstance(first, nodes.emphasis):
                text = first.astext().replace("\n", " ")
                return text.partition("Alt text: ")[2] or text
    return ""


class Captions(SphinxPostTransform):
    """Gives every picture that says nothing the words of its caption."""

    default_priority = 700  # after MyST-NB has chosen which output to show

    def run(self, **_: Any) -> None:
        """Leave alone what has words of its own."""
        for image in self.document.findall(nodes.image):
            if not image.get("alt"):
                image["alt"] = caption_below(image)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_post_transform(Captions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
