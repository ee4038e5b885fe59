"""`torchprimer add-photos`: checks photos of the user, copies them to data/raw/ and adds them to DVC."""

import shutil
from collections import Counter
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.errors import UserError
from torchprimer.sources.user_data import already_imported, dvc_add, target_dir


def add_photos(path: Path, name: str) -> None:
    """Copies a zip (as it is) or a folder (the photos in it) to data/raw/<name>/ and runs `dvc add` on it.

    Raises:
        UserError: no photos, one class only, a name that a download or other data has.
    """
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"{path} does not exist: give a zip or a folder of photos")
    target = target_dir(name)
    photos = ImageFolder(path)
    if len(photos.classes) < 2:
        raise UserError(
            f"{path} has photos of one class only ('{photos.classes[0]}'): name them like cat.12.jpg and dog.7.jpg, "
            "or put each class into a folder of its own"
        )
    if target.resolve() in (path.resolve(), *path.resolve().parents):
        raise UserError(f"{path} lies in {target}, where it would be copied to: give the photos from elsewhere")
    files = {"photos.zip": path} if path.is_file() else {file: path / file for file in photos.ids}
    if not already_imported(files, target):
        with atomic_write(target) as folder:
            folder.mkdir()
            for name_in_raw, file in tqdm(files.items(), desc="copying", delay=1, disable=None, leave=False):
                (folder / name_in_raw).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / name_in_raw)
    shown = target.relative_to(paths.project())
    dvc_add(target, "photos")
    counts = Counter(photos.labels)
    listed = ", ".join(f"{count:,} {label}" for label, count in sorted(counts.items()))
    print(f"{len(photos.ids):,} photos in {shown}: {listed}")
    if photos.skipped:
        endings = Counter(PurePosixPath(file).suffix or "no ending" for file in photos.skipped)
        print(
            f"{len(photos.skipped):,} other files left out: {', '.join(f'{n} {e}' for e, n in endings.most_common(5))}"
        )
    print(
        f"next: git add data/raw, and train on them, for example\n"
        f"  dvc exp run -S datasets.dogs_vs_cats.raw={name} -S datasets.dogs_vs_cats.image_size=128"
    )
