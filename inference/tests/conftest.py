import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

try:
    import tokenizers  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401

    MODELS = True
except ImportError:
    MODELS = False

NEED_MODELS = {"test_parity.py", "test_gated.py", "test_mapping.py", "test_doors.py"}
collect_ignore = [] if MODELS else sorted(NEED_MODELS)


def pytest_terminal_summary(terminalreporter):
    if not MODELS:
        terminalreporter.write_line(
            "SKIPPED: torch, transformers or tokenizers is not installed here, so nothing that runs a model or a tokenizer was tested: "
            + ", ".join(sorted(NEED_MODELS))
        )


@pytest.fixture(scope="session")
def tokenizer():
    from helpers import small_tokenizer

    return small_tokenizer()
