"""What people and programs read of a run, made from its records alone.

In: an `Analysis`. Out: tables (`tables`) for the terminal, the page and Markdown, JSON
(`as_json`), plots (`plots`), other tools' formats (`export`), the page of a sweep.
"""
