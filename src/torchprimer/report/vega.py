"""Vega, Vega-Lite and Vega-Embed as one script from the package vl-convert, so that pages draw charts offline.

`python -m torchprimer.report.vega` writes it to .dvc/plots/vega.js, for `dvc plots show` and `dvc plots diff`.
"""

import vl_convert

from torchprimer import paths
from torchprimer.atomic import atomic_write


def script() -> str:
    """JavaScript that defines `window.vegaEmbed` and no other global."""
    return f"(() => {{{vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;')}}})();\n"


def main() -> None:
    file = paths.project() / ".dvc" / "plots" / "vega.js"
    with atomic_write(file) as partial:
        partial.write_text(script(), "utf-8")
    print(f"{file.relative_to(paths.project())}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
