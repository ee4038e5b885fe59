"""DVC without three costs of every stage that together take almost as long as 172 reduced stages.

- DVC reads dvc.lock with a YAML parser in Python that preserves comments; the file has none. Here the C parser does.
- DVC serialises the whole dvc.lock; here the text of unchanged stages is cached.
- `dvc exp run` reads all stages to find out whether a path is an output, which git does not track; here once.

The files are the same to the byte: in tests/pipeline/test_pipeline.py the installed DVC writes dvc.lock again, finds
everything up to date, and agrees on which files are outputs.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from dvc.cli import main
from dvc.fs.dvc import DVCFileSystem
from dvc.utils.serialize import _yaml

in_python, dump = _yaml.parse_yaml_for_update, _yaml._dump
yaml_of_stage: dict[str, str] = {}  # a stage of dvc.lock -> its YAML
outputs: dict[str, set[Path]] = {}  # folder of a project -> outputs of its stages in DVC's cache


def parse(text: str, path: object) -> Any:
    return (_yaml.parse_yaml if str(path).endswith("dvc.lock") else in_python)(text, path)


def dump_by_stage(data: Mapping[str, Any], stream: TextIO) -> None:
    if list(data) != ["schema", "stages"]:
        dump(data, stream)
        return
    dump({"schema": data["schema"]}, stream)
    stream.write("stages:\n")
    for name, stage in data["stages"].items():
        if (key := repr((name, stage))) not in yaml_of_stage:
            yaml_of_stage[key] = _yaml.dumps_yaml({"stages": {name: stage}}).removeprefix("stages:\n")
        stream.write(yaml_of_stage[key])


def is_output(files: DVCFileSystem, path: str) -> bool:
    root = files.repo.root_dir
    if root not in outputs:
        outputs[root] = {Path(output.fs_path) for output in files.repo.index.outs if output.use_cache}
    absolute = Path(root, path.lstrip("/"))
    return not outputs[root].isdisjoint({absolute, *absolute.parents})


if __name__ == "__main__":
    _yaml.parse_yaml_for_update, _yaml._dump, DVCFileSystem.isdvc = parse, dump_by_stage, is_output
    sys.exit(main())
