#!/usr/bin/env python3
"""Two tasks beside the 11, of rows that a PyPI package carries: opinions on products, and what kind of text something is.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python own_tasks.py vaderSentiment-3.3.2.tar.gz DATA

Hutto and Gilbert's rows (ICWSM 2014), with the mean of twenty people's ratings from -4 to 4. `reviews`: sentences of product
reviews, whose rating is half a point or more from 0. `kind`: as many texts of each of four files, tweets, reviews of films
and of products, editorials. Each option is one token, also of the 5M model. 2,000 rows to train on, up to 1,000 others to test on, and the task file, in a folder for each.
"""
import io, json, pathlib, random, sys, tarfile

FILES = {"message": "tweets", "film": "movieReviewSnippets", "product": "amazonReviewSnippets", "news": "nytEditorialSnippets"}


def rows(package):
    with tarfile.open(package) as outer:
        inner = next(m for m in outer.getmembers() if m.name.endswith("hutto_ICWSM_2014.tar.gz"))
        with tarfile.open(fileobj=io.BytesIO(outer.extractfile(inner).read())) as files:
            for kind, name in FILES.items():
                member = next(m for m in files.getmembers() if m.name.endswith(f"{name}_GroundTruth.txt"))
                for line in files.extractfile(member).read().decode("utf-8", "replace").splitlines():
                    cells = line.split("\t")
                    if len(cells) == 3 and cells[2].strip():
                        yield kind, float(cells[1]), cells[2].strip()


def write(folder, task, found):
    folder.mkdir(parents=True, exist_ok=True)
    random.Random(1).shuffle(found)
    for name, part in ("train", found[:2000]), ("validation", found[2000:3000]):
        lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in part]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    (folder / "task.toml").write_text(task)


package, data = sys.argv[1], pathlib.Path(sys.argv[2])
# a text counts once
found = list({text: (kind, mean, text) for kind, mean, text in rows(package)}.values())
reviews = [(text, int(mean > 0)) for kind, mean, text in found if kind == "product" and abs(mean) >= 0.5]
write(data / "reviews", 'name = "reviews"\ntemplate = "{text} It was"\ncandidates = [" terrible", " great"]\nlabel = "label"\n', reviews)
kinds = []
for number, kind in enumerate(FILES):
    texts = [(text, number) for name, _, text in found if name == kind]
    kinds += random.Random(0).sample(texts, 750)
words = json.dumps([f" {kind}" for kind in FILES])
write(data / "kind", f'name = "kind"\ntemplate = "{{text}}\\nKind of text:"\ncandidates = {words}\nlabel = "label"\n', kinds)
