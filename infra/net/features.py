"""A city's own GeoJSON as it is read: the features of the file, and which of their properties says what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from domain.crs import Crs, to_wgs84

Text = tuple[str, str]
"""A sentence in Chinese and in English."""


class LoadError(ValueError):
    """The file, or what was said of it, makes no sense as a whole; the message says what to do."""


class Layer(StrEnum):
    """图层 — what a feature is: an area of a level, or a compound."""

    CITY = "city"
    DISTRICT = "district"
    STREET = "street"
    COMMUNITY = "community"
    GRID = "grid"
    COMPOUND = "compound"


LAYERS = tuple(Layer)
"""From the top down; compounds stand beside the grids, under a community."""

WORDS: Mapping[Layer, tuple[str, ...]] = {
    Layer.CITY: ("city", "市"),
    Layer.DISTRICT: ("district", "区", "县", "区县", "qx", "county"),
    Layer.STREET: ("street", "街道", "镇", "乡", "乡镇", "jd", "jiedao", "subdistrict", "township", "town"),
    Layer.COMMUNITY: ("community", "社区", "村", "sq", "shequ"),
    Layer.GRID: ("grid", "网格", "wg"),
    Layer.COMPOUND: ("compound", "小区", "城中村", "estate", "urban_village"),
}
"""What files call a layer, as a value and inside the names of properties."""

SUFFIXES: Mapping[Layer, tuple[str, ...]] = {
    Layer.CITY: ("市",),
    Layer.DISTRICT: ("新区", "区", "县"),
    Layer.STREET: ("街道办事处", "街道", "镇", "乡"),
    Layer.COMMUNITY: ("社区居委会", "社区工作站", "社区", "居委会", "村委会"),
    Layer.GRID: ("网格",),
    Layer.COMPOUND: ("小区", "城中村"),
}
"""What ends a name, and may be left out; the longest first."""

CODES = ("code", "adcode", "gb", "编码", "代码", "区划代码", "行政区划代码")
NUMBERS = ("id",)
"""Codes at need: onto a net with codes of its own a running number is none."""
NAMES = ("name", "name_zh", "名称", "mc", "title", "name_3")
ENGLISH_NAMES = ("name_en", "ename", "english", "英文名", "英文名称")
LEVELS = ("level", "层级", "级别", "layer", "type", "类型")
PARENTS = ("parent", "parent_code", "parentcode", "parent_name", "上级", "上级编码", "所属")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the one who loads says of the file; empty where nothing was said."""

    code: str = ""
    name: str = ""
    name_en: str = ""
    level: str = ""
    """A property, or one of `Layer` for all features."""
    parent: str = ""
    crs: Crs | None = None
    cell_metres: float | None = None
    """Width of the synthetic grids that are cut where the file has none."""
    city: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """One feature as the file has it; ``geometry`` is two-dimensional, in the coordinates of the file."""

    number: int
    """In the file, from 1."""
    properties: Mapping[str, object]
    geometry: BaseGeometry | None
    problem: Text = ("", "")
    """Why it has no polygon."""

    def text(self, key: str | None) -> str:
        """A property as text; empty where it says nothing."""
        return _text(self.properties.get(key)) if key else ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which property says what; None where none does."""

    code: str | None
    name: str | None
    name_en: str | None
    parent: str | None
    layer: Callable[[Raw], Layer | None]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature, read: ``shape`` is polygonal, valid and in WGS-84, and empty where the file has no polygon."""

    number: int
    code: str
    name: str
    name_en: str
    layer: Layer | None
    parent: str
    shape: BaseGeometry

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.code or f"#{self.number}"


def raws_of(document: object) -> list[Raw]:
    """The features of a GeoJSON FeatureCollection (or of one Feature). Raises `LoadError`."""
    features = document.get("features") if isinstance(document, dict) else None
    if isinstance(document, dict) and document.get("type") == "Feature":
        features = [document]
    if not isinstance(features, list) or not features:
        raise LoadError("不是 GeoJSON · not a GeoJSON FeatureCollection with at least one feature")
    return [_raw(number, feature) for number, feature in enumerate(features, start=1)]


def _raw(number: int, feature: object) -> Raw:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    known = properties if isinstance(properties, dict) else {}
    if not isinstance(feature, dict) or feature.get("geometry") is None:
        return Raw(number, known, None, ("没有几何图形", "has no geometry"))
    if "id" in feature and "id" not in known:
        known = {**known, "id": feature["id"]}
    try:
        with np.errstate(invalid="ignore"):
            made = shapely.force_2d(shape(feature["geometry"]))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, shapely.errors.ShapelyError) as error:
        return Raw(number, known, None, ("几何图形无法读取", f"its geometry cannot be read ({error})"))
    if made.is_empty or made.geom_type not in ("Polygon", "MultiPolygon"):
        kind = f"{'an empty' if made.is_empty else 'a'} {made.geom_type}"
        return Raw(
            number, known, None, (f"是 {made.geom_type}, 不是面", f"is {kind}, and only a polygon bounds an area")
        )
    if not np.isfinite(shapely.get_coordinates(made)).all():
        return Raw(number, known, None, ("坐标不是数字", "has a coordinate that is no number"))
    return Raw(number, known, made)


def _text(value: object) -> str:
    match value:
        case None | bool():
            return ""
        case float() if value.is_integer():
            return str(int(value))
        case dict():
            return next((_text(value[key]) for key in ("code", "adcode", "name") if value.get(key)), "")
        case list():
            return ""
        case _:
            return str(value).strip()


def as_wgs84(area: BaseGeometry, crs: Crs) -> BaseGeometry:
    """A geometry given in ``crs``, in WGS-84."""
    if crs is Crs.WGS84:
        return area
    return shapely.transform(area, lambda points: np.array([to_wgs84(lon, lat, crs) for lon, lat in points]))


def bare(name: str, layer: Layer) -> str:
    """A name without the suffix of its layer: 罗湖区 and 罗湖 are the same district."""
    name = "".join(name.split()).casefold()
    found = next((suffix for suffix in SUFFIXES[layer] if name.endswith(suffix)), "")
    return name.removesuffix(found) or name


def layer_named(text: str) -> Layer | None:
    """The layer that a value of a level property means."""
    return next((layer for layer, words in WORDS.items() if text.casefold() in words), None)


def columns_of(raws: Sequence[Raw], asked: Asked, known: Mapping[Layer, Iterable[str]]) -> tuple[Columns, list[Text]]:
    """Which property says what, as asked or as guessed, and what was guessed.

    ``known`` are the names of the units of the net that the file is loaded onto. Raises `LoadError` for a property that no
    feature has.
    """
    for wish in (asked.code, asked.name, asked.name_en, asked.parent, "" if _constant(asked) else asked.level):
        if wish and not any(wish in raw.properties for raw in raws):
            there = ", ".join(dict.fromkeys(key for raw in raws for key in raw.properties))
            raise LoadError(f"没有属性 {wish} · no feature has the property {wish!r}; there are: {there or 'none'}")
    level = asked.level or _first(raws, LEVELS, lambda value: layer_named(value) is not None)
    constant = _constant(asked)
    words = _layered([constant] if constant else reversed(LAYERS), _names_for)
    name = asked.name or _first(raws, (*NAMES, *words), tells_apart=True)
    guesses = [("名称", "names", asked.name, name)]
    if not level:
        constant = _guess([raw.text(name) for raw in raws], known)
        guesses.append(("层级", "level", "", constant and f"{name}: {constant}"))
    elif not constant:
        guesses.append(("层级", "levels", asked.level, level))
    own, above = ([constant], reversed(LAYERS[: LAYERS.index(constant)])) if constant else ([], iter(()))
    codes = (*_layered(own, _codes_for), *CODES, *(() if known else NUMBERS))
    code = asked.code or _first(raws, codes, tells_apart=True)
    english = asked.name_en or _first(raws, ENGLISH_NAMES)
    parent = asked.parent or _first(
        raws, (*PARENTS, *_layered(above, lambda word: (*_codes_for(word), *_names_for(word))))
    )
    parent = None if parent in (name, code) else parent
    guesses += [("编码", "codes", asked.code, code), ("英文名", "English names", asked.name_en, english)]
    guesses.append(("上级", "parents", asked.parent, parent))
    said = [
        (f"{zh}取自 {found} (推测)", f"{en} from {found} (guessed)")
        for zh, en, wish, found in guesses
        if found and not wish
    ]

    def layer(raw: Raw) -> Layer | None:
        return constant or layer_named(raw.text(level))

    return Columns(code, name, english, parent, layer), said


def _constant(asked: Asked) -> Layer | None:
    return Layer(asked.level) if asked.level in LAYERS else None


def _names_for(word: str) -> tuple[str, ...]:
    return (word, f"{word}name", f"{word}_name", f"{word}mc", f"{word}名称")


def _codes_for(word: str) -> tuple[str, ...]:
    return (f"{word}code", f"{word}_code", f"{word}dm", f"{word}编码", f"{word}代码")


def _layered(layers: Iterable[Layer], forms: Callable[[str], tuple[str, ...]]) -> Iterator[str]:
    return (form for layer in layers for word in WORDS[layer] for form in forms(word))


def _first(
    raws: Sequence[Raw],
    candidates: Iterable[str],
    fits: Callable[[str], bool] = bool,
    *,
    tells_apart: bool = False,
) -> str | None:
    """The first candidate, in any case of letters, that fits in at least half of the features, and differs in half of them where
    it must tell them apart: the code of a street's district is not the street's."""
    there = {key.casefold(): key for raw in raws for key in raw.properties}
    for key in (there[candidate] for candidate in candidates if candidate in there):
        values = [value for raw in raws if fits(value := raw.text(key))]
        if 2 * len(values) >= len(raws) and (not tells_apart or 2 * len(set(values)) >= len(values)):
            return key
    return None


def _guess(names: Sequence[str], known: Mapping[Layer, Iterable[str]]) -> Layer | None:
    """The layer to which most names belong by their suffix, or by the units that are known."""
    for layer in LAYERS:
        if 2 * sum(name.endswith(SUFFIXES[layer]) for name in names) > len(names):
            return layer
    shares = {layer: _share(names, layer, there) for layer, there in known.items()}
    best = max(shares, key=lambda layer: (shares[layer], -LAYERS.index(layer)), default=None)
    return best if best is not None and shares[best] >= 0.5 else None


def _share(names: Sequence[str], layer: Layer, known: Iterable[str]) -> float:
    there = {bare(name, layer) for name in known}
    return sum(bare(name, layer) in there for name in names) / len(names)
