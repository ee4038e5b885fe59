"""DVC, but for three things that it does anew after each of 172 stages, and that take almost as long as these.

- It reads dvc.lock by a parser in Python, to keep comments that the file does not have: here by the one in C.
- It writes the whole of dvc.lock: here what has not changed since the last time is not made again.
- `dvc exp run` reads all stages to tell what is an output of one, which git is not to be told of: here it does so once.

What is written is the same to the byte: tests/test_pipeline.py has DVC itself write dvc.lock, and say what is up to
date and which files are outputs.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from dvc.cli import main
from dvc.fs.dvc import DVCFileSystem
from dvc.utils.serialize import _yaml

in_python, dump = _yaml.parse_yaml_for_update, _yaml._dump
written: dict[str, str] = {}  # a stage of dvc.lock -> its lines
outputs: dict[str, set[Path]] = {}  # a project's folder -> what its stages write and DVC keeps


def parse(text: str, path: object) -> Any:
    return (_yaml.parse_yaml if str(path).endswith("dvc.lock") else in_python)(text, path)


def dump_by_stage(data: Mapping[str, Any], stream: TextIO) -> None:
    if list(data) != ["schema", "stages"]:
        dump(data, stream)
        return
    dump({"schema": data["schema"]}, stream)
    stream.write("stages:\n")
    for name, stage in data["stages"].items():
        if (key := repr((name, stage))) not in written:
            written[key] = _yaml.dumps_yaml({"stages": {name: stage}}).removeprefix("stages:\n")
        stream.write(written[key])


def is_output(files: DVCFileSystem, path: str) -> bool:
    root = files.repo.root_dir
    if root not in outputs:
        outputs[root] = {Path(output.fs_path) for output in files.repo.index.outs if output.use_cache}
    place = Path(root, path.lstrip("/"))
    return not outputs[root].isdisjoint({place, *place.parents})


if __name__ == "__main__":
    _yaml.parse_yaml_for_update, _yaml._dump, DVCFileSystem.isdvc = parse, dump_by_stage, is_output
    sys.exit(main())
