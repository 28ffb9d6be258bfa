"""What headers say: the role of a column by its name, in several languages, and the unit it names. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

Role = Literal["store", "dept", "date", "value", "flag", "store_name", "dept_name"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Per role, in order of preference; case, accents, spaces, underscores, dots and units in the header do not matter.
SYNONYMS: Mapping[Role, tuple[str, ...]] = {
    "store": _words(
        "store storeid storenbr storenumber storeno storecode storekey shop shopid shopnumber "
        "shopcode outlet outletid "
        "branch branchid branchcode site siteid sitecode location locationid locationcode loc filiale filialid "
        "filialnr filialnummer markt marktnr marktid magasin tienda sucursal loja negozio winkel puntovendita pdv"
    ),
    "dept": _words(
        "itemid item itemnbr itemnumber itemno itemcode skuid sku skucode productid product productcode productnumber "
        "articleid article articlenumber articlecode artikel artikelid artikelnr artikelnummer articulo producto "
        "produit prodotto produto upc ean gtin asin stockcode materialid material uniqueid seriesid timeseriesid dept "
        "deptid department departmentid departmentnbr abteilung warengruppe rayon family "
        "productfamily familia famille "
        "category categoryid productcategory categoria categorie kategorie subcategory class"
    ),
    "date": _words(
        "date ds week datum fecha timestamp datetime day tag dia jour giorno data semana semaine "
        "woche settimana weekdate "
        "weekending weekenddate weekendingdate weekend weekstart weekstarting weekstartdate weekstartingdate "
        "weekcommencing weekbeginning weekbeginningdate salesdate saledate orderdate invoicedate transactiondate "
        "businessdate bookingdate verkaufsdatum periode period dt month monat time"
    ),
    "value": _words(
        "weeklysales dailysales unitsales sales salesvalue salesamount totalsales netsales "
        "grosssales revenue netrevenue "
        "umsatz ventas ventes vendite vendas omzet verkauf verkaeufe turnover targetvalue target demand qty quantity "
        "units unitssold soldunits qtysold quantitysold sold salesqty salesquantity salesunits itemssold absatz menge "
        "cantidad quantite quantita pieces move movement moves volume y value amount"
    ),
    "flag": _words("isholiday holidayflag holiday holidayweek isholidayweek feiertag isfeiertag festivo ferie"),
    "store_name": _words("storename shopname branchname outletname sitename locationname filialname marktname"),
    "dept_name": _words(
        "itemname productname articlename artikelname artikelbezeichnung deptname departmentname skuname familyname "
        "categoryname itemdescription productdescription description bezeichnung"
    ),
}
_ROLE_OF: Mapping[str, Role] = {name: role for role, names in SYNONYMS.items() for name in names}
# Planned before the week they are for.
_AHEAD = re.compile(
    r"price|preis|precio|prix|prezzo|promo|markdown|discount|rabatt|coupon|onsale|schoolholiday|schulferien"
    r"|stateholiday|publicholiday|^event"
)
# A second key of a product that is sold in several forms.
_VARIANTS = frozenset(
    _words("size pack packsize variant colour color flavour flavor groesse grosse farbe taille talla")
)
_ROW_NUMBERS = frozenset(("", "index", "id", "rowid", "rowno", "rownumber", "row", "unnamed0", "recordid", "lineid"))
_WEEK_STARTS = re.compile(r"week(?:ly)?(?:start|commencing|beginning|begin)|wochenanfang|wochenbeginn")
_CURRENCIES = frozenset(_words("usd eur gbp chf jpy cny inr aud cad nzd sek nok dkk pln czk huf brl mxn zar krw try"))
_SIGNS: Mapping[str, str] = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY"}
_PIECES = frozenset(
    _words(
        "unitsales qty quantity units unitssold soldunits qtysold quantitysold sold salesqty salesquantity salesunits "
        "itemssold absatz menge cantidad quantite quantita pieces move movement moves pcs"
    )
)


def normal(header: str) -> str:
    """A header without case, accents, spaces, punctuation, and the unit that it names."""
    return "".join(part for part in _parts(header) if part not in _CURRENCIES) or "".join(_parts(header))


def role_of(header: str) -> Role | None:
    """What a header says the column is; None for a header that says none of the roles."""
    return _ROLE_OF.get(normal(header))


def by_role(headers: Sequence[str], role: Role) -> list[str]:
    """The headers of a role, the likeliest first."""
    found = [header for header in headers if role_of(header) == role]
    return sorted(found, key=lambda header: SYNONYMS[role].index(normal(header)))


def is_known_ahead(header: str) -> bool:
    """Whether a header names what is planned: a price, a promotion, school holidays."""
    return bool(_AHEAD.search(normal(header)))


def is_variant(header: str) -> bool:
    """Whether a header names forms of one product: size, colour."""
    return normal(header) in _VARIANTS


def is_row_number(header: str) -> bool:
    """Whether a header may stand over row numbers."""
    return normal(header) in _ROW_NUMBERS


def names_week_start(header: str) -> bool:
    """Whether a header says that its dates start a week."""
    return bool(_WEEK_STARTS.search(normal(header)))


def unit_in(header: str) -> str:
    """The unit that a header names: a currency code, pieces, or empty."""
    if sign := next((unit for sign, unit in _SIGNS.items() if sign in header), ""):
        return sign
    if currency := next((part for part in _parts(header) if part in _CURRENCIES), ""):
        return currency.upper()
    return "pieces" if normal(header) in _PIECES else ""


def label_of(header: str) -> str:
    """What people call a key by its header: `store_nbr` is Store, `item_id` is Item, `unique_id` is Series."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header.split(" / ")[0])
    words = [word for word in re.split(r"[\s_.\-]+", spaced) if word]
    kept = [word for word in words if word.lower() not in ("id", "nbr", "nr", "no", "number", "code", "unique")]
    text = " ".join(kept or words)
    return "Series" if normal(header) == "uniqueid" else text[:1].upper() + text[1:]


def _parts(header: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", header).encode("ascii", "ignore").decode().casefold()
    return re.findall(r"[a-z0-9]+", plain)
