"""`torchprimer add-photos`: photos of your own, checked and put under data/raw/, where DVC keeps them."""

import shutil
from collections import Counter
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.errors import UserError
from torchprimer.sources.user_data import free_place, give_to_dvc, is_there


def add_photos(place: Path, name: str) -> None:
    """Copies a zip (as it is) or a folder (the photos in it) to data/raw/<name>/ and gives it to `dvc add`.

    Raises:
        UserError: nothing usable there, one class only, a name that a download has, or other data of that name.
    """
    place = place.expanduser()
    if not place.exists():
        raise UserError(f"{place} does not exist: give a zip or a folder of photos")
    target = free_place(name)
    photos = ImageFolder(place)
    if len(photos.classes) < 2:
        raise UserError(
            f"{place} has photos of one class only ('{photos.classes[0]}'): name them like cat.12.jpg and dog.7.jpg, "
            "or put each class into a folder of its own"
        )
    if target.resolve() in (place.resolve(), *place.resolve().parents):
        raise UserError(f"{place} lies in {target}, where it would be copied to: give the photos from elsewhere")
    files = {"photos.zip": place} if place.is_file() else {file: place / file for file in photos.ids}
    if not is_there(files, target):
        with atomic_write(target) as folder:
            folder.mkdir()
            for own_name, file in tqdm(files.items(), desc="copying", delay=1, disable=None, leave=False):
                (folder / own_name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / own_name)
    shown = target.relative_to(paths.project())
    give_to_dvc(target, "photos")
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
