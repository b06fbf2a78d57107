"""What schemathesis cannot know by itself; it loads this file by SCHEMATHESIS_HOOKS."""

import schemathesis
from schemathesis.generation import GenerationMode


@schemathesis.check
def a_described_request_is_understood(ctx, response, case):
    """A request that is as described may be refused for the state or for what is wrong with a code or a number, never for its form.

    The built-in check takes every 400 for a refusal of the form, so it is told in the settings that 400 may be.
    """
    mode = case.meta.generation.mode if case.meta else None
    if mode is not GenerationMode.POSITIVE or response.status_code != 400:
        return
    if response.json().get("code") == "invalid_request":
        raise AssertionError(f"a request as described was not understood: {response.text}")
