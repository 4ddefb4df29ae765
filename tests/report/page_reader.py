"""Pages read back: elements, texts, data."""

import json
from html.parser import HTMLParser


class Reader(HTMLParser):
    """Elements with their attributes, and the texts inside scripts and titles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append((self.elements[-1][0] if self.elements else "", data))


def data_of(page):
    """Return what the page's script reads."""
    text = next(t for tag, t in Reader(page).texts if tag == "script" and t.startswith("{"))
    return json.loads(text)
