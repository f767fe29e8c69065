"""
Records request/response pairs of a real engine for the client's contract test, one JSON file each:

    python inference/tests/record.py --model reader --out inference/contract
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine import load
from handler import EndpointHandler

SHIP = ["The harbour was quiet. ", "Marta Lindqvist was born in Bergen on March 4, 1931. ", "Nobody came to the pier before noon. "]
CODE = ["function total(values) {\n", "  return values.reduce((a, b) => a + b, 0);\n", "}\n"]
PAIRS = {
    "01-one-window": {"question": "Where was Marta Lindqvist born?", "windows": [{"sentences": SHIP}]},
    "02-two-windows": {"question": "Who came to the pier?", "windows": [{"sentences": SHIP}, {"sentences": ["It rained. ", "The mill was closed."]}]},
    "03-middle-layer": {"question": "Who came to the pier?", "windows": [{"sentences": SHIP}], "parameters": {"layer": "middle"}},
    "04-head-list": {"question": "Who came to the pier?", "windows": [{"sentences": SHIP}], "parameters": {"layer": 2, "heads": [0, 3]}},
    "05-calibrated": {"question": "Who came to the pier?", "windows": [{"sentences": SHIP}], "parameters": {"calibrate": True}},
    "06-emoji-crlf": {"question": "Wer hat gewonnen?", "windows": [{"sentences": ["Wir haben gewonnen 🎉!\r\n", "\r\n", "東京は雨です。", "Ende."]}]},
    "07-code": {"question": "What does total return?", "windows": [{"sentences": CODE}]},
    "08-empty-sentences": {"question": "Anything?", "windows": [{"sentences": ["", "A. ", ""]}, {"sentences": []}]},
    "09-window-over-the-limit": {"question": "Who?", "windows": [{"sentences": [SHIP[0], "and then the wind turned " * 300, SHIP[1]]}]},
    "10-many-windows": {"question": "Where was she born?", "windows": [{"sentences": SHIP[i % 3 :]} for i in range(12)]},
    "11-bad-layer": {"question": "Who?", "windows": [{"sentences": SHIP}], "parameters": {"layer": 99}},
    "12-empty-question": {"question": " ", "windows": [{"sentences": SHIP}]},
    "13-no-windows": {"question": "Who?", "windows": []},
    "14-no-list-of-heads": {"question": "Who?", "windows": [{"sentences": SHIP}], "parameters": {"layer": "heads"}},
    "15-describe": {"task": "describe"},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    engine = load(options.model)
    engine.name = "reader"
    handler = EndpointHandler(engine=engine)
    options.out.mkdir(parents=True, exist_ok=True)
    pairs = []
    for name, inputs in PAIRS.items():
        body = {k: v for k, v in inputs.items() if k != "parameters"}
        request = {"inputs": body, "parameters": inputs.get("parameters", {})}
        pairs.append({"name": name, "request": request, "response": handler(request)})
    text = json.dumps({"engine": engine.describe(), "pairs": pairs}, ensure_ascii=False, indent=1)
    (options.out / "pairs.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
