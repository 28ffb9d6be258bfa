"""Names for people of the invented retailer's stores and departments."""

from collections.abc import Iterable

import pandas as pd

_PLACES = (
    "Lakeside", "Old Town", "Station", "Harbour", "Mill Road", "Riverside", "Castle Hill", "Market Square", "Airport",
    "Northgate", "Southgate", "Eastfield", "Westfield", "Park Lane", "University", "Stadium", "Bridge Street",
    "Garden City", "Church Lane", "Highfield", "Valley", "Beach Road", "Forest", "Meadows", "Orchard", "Quarry",
    "Windmill", "Lighthouse", "Cathedral", "Docklands", "Greenhill", "Kings Road", "Queens Road", "Elm Street",
    "Oak Avenue", "Maple Drive", "Cedar Point", "Spring Garden", "Summerfield", "Winterton", "Autumn Way", "Sunset",
    "Sunrise", "Crossroads", "Junction",
)  # fmt: skip
_GOODS = (
    "Bakery", "Dairy", "Fruit", "Vegetables", "Meat", "Fish", "Cheese", "Frozen Food", "Snacks", "Sweets", "Coffee",
    "Soft Drinks", "Juice", "Water", "Beer", "Wine", "Spirits", "Cereals", "Pasta and Rice", "Canned Food", "Sauces",
    "Spices", "Oil and Vinegar", "Baby Food", "Pet Food", "Laundry", "Cleaning", "Paper Goods", "Soap", "Hair Care",
    "Skin Care", "Make-up", "Perfume", "Dental Care", "Pharmacy", "Vitamins", "Opticians", "Baby Clothes", "Girls",
    "Boys' Clothes", "Women's Clothes", "Men's Clothes", "Underwear", "Socks", "Shoes", "Sportswear", "Swimwear",
    "Jackets", "Hats and Gloves", "Bags", "Jewellery", "Watches", "Toys", "Board Games", "Video Games", "Books",
    "Magazines", "Stationery", "School Supplies", "Cards and Wrapping", "Party Goods", "Decoration", "Candles",
    "Bedding", "Towels", "Curtains", "Rugs", "Lamps", "Furniture", "Kitchenware", "Tableware", "Small Appliances",
    "Large Appliances", "Televisions", "Audio", "Phones", "Computers", "Cameras", "Batteries", "Tools", "Paint",
    "Hardware", "Plumbing", "Electrical", "Garden Plants", "Garden Tools", "Outdoor Furniture", "Grills", "Camping",
    "Fishing", "Cycling", "Fitness", "Ball Sports", "Car Parts", "Car Care", "Tyres", "Luggage", "Fabrics", "Flowers",
)  # fmt: skip


def store_names(ids: Iterable[int]) -> list[str]:
    """A name for each store; ids beyond the known places have their number in it."""
    return [store_name(one) for one in ids]


def department_names(ids: Iterable[int]) -> pd.DataFrame:
    """[dept_id, name] of the departments."""
    known = sorted(ids)
    return pd.DataFrame({"dept_id": known, "name": [department_name(one) for one in known]})


def store_name(store: int) -> str:
    """The name of a store."""
    return _name(_PLACES, store)


def department_name(department: int) -> str:
    """The name of a department."""
    return _name(_GOODS, department)


def _name(words: tuple[str, ...], number: int) -> str:
    turn, place = divmod(number - 1, len(words))
    return words[place] if turn == 0 else f"{words[place]} {turn + 1}"
