"""What an answer is worth, for the worked example of docs/src/rewards.md: the right word for the row's label."""

import json
import sys

for line in sys.stdin:
    asked = json.loads(line)
    word = ["terrible", "great"][asked["row"]["label"]]
    print(float(asked["text"].startswith(word)), flush=True)
